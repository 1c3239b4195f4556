import { formatDuration, type Status } from '@holdfast/core'
import { formatTime } from '../figures.ts'
import { readiness } from '../tone.ts'
import { Badge } from './mark.tsx'

interface Props {
  readonly status: Status
  readonly now: number
  /** How long ago the last status came in, in ms. */
  readonly silentForMs: number
}

const silentMsMax = 5000

/** How it is, and why, in one calm sentence: the plan's own. Read aloud when it changes. */
export function Headline({ status, now, silentForMs }: Props) {
  const { tone, word } = readiness(status)
  return (
    <section class={`headline tone-${tone}`} aria-label="State">
      <div class="headline-name">
        <h1>{status.displayName === '' ? status.name : status.displayName}</h1>
        <span class="muted">
          {status.name} · {status.topology}
        </span>
      </div>
      <div role="status" aria-live="polite" class="headline-words">
        <Badge tone={tone} word={word} />
        <p class="because">{status.because}</p>
      </div>
      <p class="headline-seen">
        Seen at {formatTime(status.observedAt, now)}
        {silentForMs > silentMsMax && <strong> · no new look for {formatDuration(silentForMs)}</strong>}
      </p>
    </section>
  )
}
