import type { ProcessSeen, Seen } from './observed.ts'

/**
 * Dead, frozen, busy, away: four words for "does not answer", each with another proof and another consequence.
 * Nothing here is guessed from silence alone.
 */
export type Life =
  | 'alive' // answers
  | 'loading' // answers that it is reading its files
  | 'starting' // the process runs, nobody listens yet
  | 'busy' // burns CPU and does not answer, or answers BUSY
  | 'frozen' // no answer for frozenAfter, stopped or without CPU time all the while, and the observer was awake
  | 'silent' // does not answer, and none of the above is proven yet
  | 'dead' // its agent says that the process is gone
  | 'absent' // its agent knows of no process
  | 'away' // neither the engine nor its agent answers: suspicion only

/** What a node's silence means, by the facts of the engine and of its agent. */
export function judgeLife(
  { engine, agent }: { readonly engine: Seen<unknown>; readonly agent: { readonly process: ProcessSeen } | null },
  frozenAfterMs: number,
  now: number,
): Life {
  const process = agent?.process ?? null
  // An answer that came after a death was noted comes from a living engine, whatever its agent knows of it.
  const answer = answerOf(engine)
  if (answer !== null && (process?.state !== 'dead' || answer.at > process.since)) return answer.life
  if (process === null) return 'away'
  if (process.state === 'dead' || process.state === 'absent') return process.state
  if (engine.kind !== 'silent') return 'starting'
  const silentMs = now - engine.since
  if (silentMs < frozenAfterMs) return 'silent'
  return process.stopped || now - process.cpuRoseAt >= frozenAfterMs ? 'frozen' : 'busy'
}

function answerOf(engine: Seen<unknown>): { life: Life; at: number } | null {
  switch (engine.kind) {
    case 'answered':
      return { life: 'alive', at: engine.at }
    case 'loading':
    case 'busy':
      return { life: engine.kind, at: engine.at }
    default:
      return null
  }
}

/** The process is gone for certain: the only life that is proof for a promotion. */
export const isGone = (life: Life): boolean => life === 'dead' || life === 'absent'
