import type { Clock } from '../../../src/clock.ts'

interface Timer {
  readonly at: number
  /** Breaks ties: who asked first goes first, so that the same seed gives the same order. */
  readonly order: number
  readonly run: () => void
}

/** 2026-01-01, so that wall-clock times look like times. */
const wallOfZero = 1_767_225_600_000

/**
 * Time that moves only by hand, from one due timer to the next. Whoever was woken runs to its next wait before the
 * hand moves on, so a world of many sleepers is replayed in the same order each time.
 */
export class HandClock implements Clock {
  readonly boot = 'boot-1'
  /** A binary heap by (at, order). */
  readonly #timers: Timer[] = []
  #now: number
  #orders = 0
  #woke = false

  constructor(startAt = 1_000_000) {
    this.#now = startAt
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return wallOfZero + this.#now
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        this.#woke = true
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      signal?.addEventListener('abort', wake)
      this.at(this.#now + ms, wake)
    })
  }

  /** Runs something at a time; in the past means as soon as the hand moves. */
  at(time: number, run: () => void): void {
    this.#push({ at: Math.max(time, this.#now), order: this.#orders++, run })
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settleMicrotasks()
    for (let next = this.#timers[0]; next !== undefined && next.at <= end; next = this.#timers[0]) {
      await this.#step()
    }
    this.#now = end
  }

  /** Moves on until the promise is settled, and answers it. */
  async until<T>(promise: Promise<T>, withinMs = 600_000): Promise<T> {
    const state = { settled: false }
    const watched = promise.finally(() => {
      state.settled = true
    })
    watched.catch(() => undefined)
    const end = this.#now + withinMs
    await settleMicrotasks()
    while (!state.settled) {
      const next = this.#timers[0]
      if (next === undefined || next.at > end) throw new Error(`not settled within ${withinMs} ms of simulated time`)
      await this.#step()
    }
    return watched
  }

  async #step(): Promise<void> {
    const timer = this.#pop()
    if (timer === undefined) return
    this.#now = Math.max(this.#now, timer.at)
    timer.run()
    if (!this.#woke) return
    this.#woke = false
    await settleMicrotasks()
  }

  /** Called by what wakes a waiter without a timer, so that the waiter runs before the hand moves on. */
  woke(): void {
    this.#woke = true
  }

  #push(timer: Timer): void {
    const heap = this.#timers
    let child = heap.push(timer) - 1
    while (child > 0) {
      const above = (child - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || !isBefore(timer, parent)) break
      heap[child] = parent
      child = above
    }
    heap[child] = timer
  }

  #pop(): Timer | undefined {
    const heap = this.#timers
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let hole = 0
    for (;;) {
      const [left, right] = [heap[2 * hole + 1], heap[2 * hole + 2]]
      if (left === undefined) break
      const goesRight = right !== undefined && isBefore(right, left)
      const child = goesRight ? right : left
      if (!isBefore(child, last)) break
      heap[hole] = child
      hole = 2 * hole + (goesRight ? 2 : 1)
    }
    heap[hole] = last
    return first
  }
}

const isBefore = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** Lets every promise that can go on go on: a macrotask comes only after all of them. */
const settleMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
