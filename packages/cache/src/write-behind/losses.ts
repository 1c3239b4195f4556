/**
 * Notices that an engine has forgotten.
 *
 * Each partition gets a name for its life when it is first touched. A new name means that everything about it has gone:
 * evicted, flushed, or an engine that came back empty. The same life with a lower version than was acknowledged means
 * that an older copy has taken over. What nobody who is alive remembers cannot be noticed.
 */
import type { Loss } from './events.ts'

interface Remembered {
  life: string
  unsaved: number
  /** The highest version that a writer of this process was promised. */
  acknowledged: number
}

export class Losses {
  readonly #remembered = new Map<number, Remembered>()
  readonly #tell: (loss: Loss) => void

  constructor(tell: (loss: Loss) => void) {
    this.#tell = tell
  }

  /** What was promised up to now: to be handed to `saw` with an answer that is asked for from now on. */
  acknowledged(partition: number): number {
    return this.#remembered.get(partition)?.acknowledged ?? 0
  }

  acknowledge(partition: number, version: number): void {
    const remembered = this.#remembered.get(partition)
    if (remembered !== undefined) remembered.acknowledged = Math.max(remembered.acknowledged, version)
  }

  /** `promised`: what had been acknowledged when the answer was asked for. An answer may come late, and out of order. */
  saw(partition: number, seen: { life: string; last: number; unsaved: number }, promised: number): void {
    const before = this.#remembered.get(partition)
    if (before === undefined) {
      this.#remembered.set(partition, { life: seen.life, unsaved: seen.unsaved, acknowledged: 0 })
      return
    }
    const newLife = seen.life !== before.life
    const rolledBack = !newLife && seen.last < promised
    if ((newLife || rolledBack) && (before.unsaved > 0 || before.acknowledged > 0)) {
      this.#tell({
        partition,
        because: newLife ? 'the engine came back without it' : 'the engine came back with an older copy of it',
        keys: before.unsaved,
        acknowledged: before.acknowledged,
      })
    }
    if (newLife || rolledBack) before.acknowledged = 0
    before.life = seen.life
    before.unsaved = seen.unsaved
  }

  /** Keys that were counted and are no longer there, or one by name. */
  missing(partition: number, keys: number, key?: string): void {
    const acknowledged = this.acknowledged(partition)
    const because = 'the engine has dropped keys: is it set to evict them?'
    this.#tell({ partition, because, keys, acknowledged, ...(key !== undefined && { key }) })
  }
}
