/**
 * One coarse wheel for all deadlines of an engine: a timer for each command would cost more than the command. What
 * waits stands in the slot of its deadline, chained through its own fields, so that adding and removing cost a few
 * assignments and leave nothing behind. A tick looks at the slots that have come due; what is due a round later stays.
 */
import type { Clock } from '../clock.ts'

/** What has a deadline. The `wheel…` fields belong to the wheel. */
export interface Expiring {
  readonly deadlineAt: number
  /** Which slot it stands in, -1 for none. */
  wheelSlot: number
  wheelNext: Expiring | null
  wheelPrevious: Expiring | null
  /** The deadline has passed. `lateMs`: by how much our own process was late to notice, beyond a tick. */
  expire(lateMs: number): void
}

const tickMs = 5
const slots = 512
/** A tick that is later than this means that our own event loop stood still. */
const lateFromMs = 30

export class Deadlines {
  readonly #clock: Clock
  readonly #heads: (Expiring | null)[] = Array.from({ length: slots }, () => null)
  #size = 0
  /** The number of ticks since the clock's zero up to which everything due was expired. */
  #cursor = 0
  #dueAt = 0
  #lateMs = 0
  #stop: (() => void) | undefined
  /** The time of the last tick: cheap, and not older than a tick while anything waits. */
  now = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#size
  }

  add(item: Expiring): void {
    if (this.#stop === undefined) this.#begin()
    const slot = Math.max(Math.floor(item.deadlineAt / tickMs), this.#cursor) % slots
    const head = this.#heads[slot] ?? null
    item.wheelSlot = slot
    item.wheelPrevious = null
    item.wheelNext = head
    if (head !== null) head.wheelPrevious = item
    this.#heads[slot] = item
    this.#size++
  }

  /** Does nothing for what is not there any more. */
  remove(item: Expiring): void {
    const slot = item.wheelSlot
    if (slot === -1) return
    const { wheelNext: next, wheelPrevious: previous } = item
    if (previous === null) this.#heads[slot] = next
    else previous.wheelNext = next
    if (next !== null) next.wheelPrevious = previous
    item.wheelSlot = -1
    item.wheelNext = null
    item.wheelPrevious = null
    this.#size--
  }

  close(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  #begin(): void {
    this.now = this.#clock.monotonic()
    this.#cursor = Math.floor(this.now / tickMs)
    this.#lateMs = 0
    this.#arm(tickMs)
  }

  #arm(ms: number): void {
    this.#dueAt = this.#clock.monotonic() + ms
    this.#stop = this.#clock.after(ms, () => this.#tick())
  }

  #tick(): void {
    const now = this.#clock.monotonic()
    const lateMs = now - this.#dueAt
    // Timers run before sockets are read: after a stall the answers may already lie there. One more turn reads them.
    if (lateMs > lateFromMs && this.#lateMs === 0) {
      this.#lateMs = lateMs
      this.#arm(1)
      return
    }
    this.now = now
    const due = this.#due(now)
    const late = this.#lateMs
    this.#lateMs = 0
    if (this.#size > 0) this.#arm(tickMs)
    else this.#stop = undefined
    for (const item of due) item.expire(late)
  }

  /** Takes out all that is due, before anybody is told: those who are told may add and remove. */
  #due(now: number): Expiring[] {
    const due: Expiring[] = []
    const last = Math.floor(now / tickMs)
    const first = Math.max(this.#cursor, last - slots + 1)
    for (let tick = first; tick <= last; tick++) {
      let item = this.#heads[tick % slots] ?? null
      while (item !== null) {
        const next = item.wheelNext
        if (item.deadlineAt <= now) {
          this.remove(item)
          due.push(item)
        }
        item = next
      }
    }
    this.#cursor = last
    return due
  }
}
