import type { Tone } from '../tone.ts'

/** A shape for each tone, so that nothing rests on telling colours apart. */
export function Mark({ tone }: { tone: Tone }) {
  return (
    <svg class={`mark tone-${tone}`} viewBox="0 0 12 12" aria-hidden="true">
      <Shape tone={tone} />
    </svg>
  )
}

function Shape({ tone }: { tone: Tone }) {
  switch (tone) {
    case 'ok':
      return <circle cx="6" cy="6" r="4.5" />
    case 'warn':
      return <path d="M6 1 11.5 10.5H.5Z" />
    case 'bad':
      return <path d="M6 .5 11.5 6 6 11.5 .5 6Z" />
    case 'off':
      return <rect x="2" y="2" width="8" height="8" rx="1.5" />
    case 'unknown':
      return <circle class="hollow" cx="6" cy="6" r="4" />
    default:
      return tone satisfies never
  }
}

/** A mark and its word. */
export function Badge({ tone, word }: { tone: Tone; word: string }) {
  return (
    <span class={`badge tone-${tone}`}>
      <Mark tone={tone} />
      {word}
    </span>
  )
}
