import type { NodeSeen } from './observed.ts'

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
export function judgeLife(node: NodeSeen, frozenAfterMs: number, now: number): Life {
  const { engine, agent } = node
  if (agent === null) return engine.kind === 'answered' ? 'alive' : 'away'
  if (agent.process.state === 'dead') return 'dead'
  if (agent.process.state === 'absent') return 'absent'
  switch (engine.kind) {
    case 'answered':
      return 'alive'
    case 'loading':
      return 'loading'
    case 'busy':
      return 'busy'
    case 'refused':
    case 'unknown':
      return 'starting'
    case 'silent': {
      const silentMs = now - engine.since
      if (silentMs < frozenAfterMs) return 'silent'
      const idle = agent.process.stopped || now - agent.process.cpuRoseAt >= frozenAfterMs
      return idle ? 'frozen' : 'busy'
    }
    default:
      return engine satisfies never
  }
}

/** The process is gone for certain: the only life that is proof for a promotion. */
export const isGone = (life: Life): boolean => life === 'dead' || life === 'absent'
