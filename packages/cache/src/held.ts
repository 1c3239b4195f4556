import type { Clock } from './clock.ts'
import type { Link } from './engine/engine.ts'
import type { Lifetime } from './entry.ts'
import type { HeldTag } from './tags.ts'

/** An entry in the local tier: a living value, and what it takes to know whether it is still right. */
export interface Held extends Lifetime {
  readonly value: unknown
  /** A negative entry: the source said that there is no such thing. */
  readonly absent: boolean
  readonly version: number
  readonly bytes: number
  /** From when it is worth to throw the dice for an early refresh. */
  readonly earlyFrom: number
  /** For how long, and until when, the local tier serves it unasked. */
  readonly localMs: number
  localUntil: number
  /** Who told it, and would tell of a change. */
  link: Link
  tags: readonly HeldTag[]
  /** Until when it is believed where nobody tells of changes. */
  trustedUntil: number
}

/** Whether a change would have been told: what is not coherent is compared with the engine before it is served. */
export function isCoherent(held: Held, clock: Clock): boolean {
  if (!held.link.live && clock.monotonic() >= held.trustedUntil) return false
  for (const tag of held.tags) if (!tag.isGood(clock)) return false
  return true
}
