import { setImmediate as turn } from 'node:timers/promises'
import type { Look } from '@holdfast/core'
import { describe, expect, test } from 'vitest'
import { Lookout } from '../../src/ledger/lookout.ts'
import { HandClock } from '../server/hand-clock.ts'

/** A shard that is written to by hand: each write waits until it is answered. */
class Shard {
  readonly clock = new HandClock()
  readonly looks: (Look & { readonly reason: string })[] = []
  readonly lookout: Lookout
  readonly #began = this.clock.wall()
  #writes: { resolve: () => void; reject: (error: Error) => void }[] = []

  constructor() {
    this.lookout = new Lookout({
      shard: 'shard-1',
      clock: this.clock,
      write: () => new Promise((resolve, reject) => this.#writes.push({ resolve, reject })),
      onLook: (look, reason) => this.looks.push({ ...look, reason }),
    })
    void this.lookout.run()
  }

  get waiting(): number {
    return this.#writes.length
  }

  async wait(ms: number, stepMs = 1): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(left, stepMs))
      await turn()
    }
  }

  async answer(error?: Error): Promise<void> {
    const [write] = this.#writes.splice(0, 1)
    if (write === undefined) throw new Error('nobody writes')
    if (error === undefined) write.resolve()
    else write.reject(error)
    await turn()
  }

  /** From, to (ms since the beginning), and whether it could be written to. */
  get told(): (readonly [from: number, to: number, writable: boolean])[] {
    return this.looks.map(({ from, to, writable }) => [from - this.#began, to - this.#began, writable] as const)
  }
}

describe('a lookout', () => {
  test('writes twice a second, one write at a time, and tells that all is well', async () => {
    const shard = new Shard()
    await shard.wait(2)
    await shard.answer()
    expect(shard.waiting).toBe(0)
    await shard.wait(500)
    expect(shard.waiting).toBe(1)
    await shard.wait(40)
    expect(shard.waiting).toBe(1)
    await shard.answer()
    expect(shard.told).toEqual([
      [0, 2, true],
      [2, 542, true],
    ])
    shard.lookout.stop()
  })

  test('a write that takes longer than is ordinary counts whole, and is told of while it waits', async () => {
    const shard = new Shard()
    await shard.answer()
    await shard.wait(500)
    await shard.wait(750)
    expect(shard.looks.at(-1)?.reason).toMatch(/^nobody has answered a write for \d+ ms$/)
    await shard.answer()
    expect(shard.told[0]).toEqual([0, 500, true])
    expect(shard.told.slice(1).every(([, , writable]) => !writable)).toBe(true)
    expect([shard.told[1]?.[0], shard.told.at(-1)?.[1]]).toEqual([500, 1250])
    shard.lookout.stop()
  })

  test('knows at once that it is over: the next write follows without a pause', async () => {
    const shard = new Shard()
    await shard.wait(300)
    await shard.answer()
    expect(shard.waiting).toBe(1)
    await shard.wait(3)
    await shard.answer()
    expect(shard.told.at(-1)).toEqual([300, 303, true])
    shard.lookout.stop()
  })

  test('a write that is refused is an outage up to the next that is not, with the words of the refusal', async () => {
    const shard = new Shard()
    await shard.answer()
    await shard.wait(500)
    await shard.answer(new Error('MISCONF the disk is full'))
    for (let tries = 0; tries < 3; tries++) {
      await shard.wait(101)
      await shard.answer(new Error('MISCONF the disk is full'))
    }
    await shard.wait(101)
    await shard.answer()
    const out = shard.looks.filter(({ writable }) => !writable)
    expect(out.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(404)
    expect(out[0]?.reason).toBe('MISCONF the disk is full')
    shard.lookout.stop()
  })

  test('an alert begins a write at once, and then a few ms count', async () => {
    const shard = new Shard()
    await shard.answer()
    await shard.wait(200)
    shard.lookout.alert()
    await turn()
    expect(shard.waiting).toBe(1)
    await shard.wait(35)
    await shard.answer()
    expect(shard.told[0]).toEqual([0, 200, true])
    expect(shard.told.filter(([, , writable]) => !writable).reduce((sum, [from, to]) => sum + to - from, 0)).toBe(35)
    shard.lookout.stop()
  })

  test('an alert during a write makes that one count', async () => {
    const shard = new Shard()
    await shard.wait(60)
    shard.lookout.alert()
    await turn()
    await shard.wait(5)
    await shard.answer()
    expect(shard.told.filter(([, , writable]) => !writable).reduce((sum, [from, to]) => sum + to - from, 0)).toBe(65)
    shard.lookout.stop()
  })

  test('time in which the process was paused is told in no way, between writes and within one', async () => {
    const between = new Shard()
    await between.answer()
    await between.wait(20_000, 20_000)
    await between.answer()
    await between.wait(500)
    await between.answer()
    expect(between.told.reduce((sum, [from, to]) => sum + to - from, 0)).toBeLessThan(600)
    between.lookout.stop()

    const within = new Shard()
    await within.wait(20_000, 20_000)
    await within.answer()
    expect(within.told.every(([, , writable]) => writable)).toBe(true)
    expect(within.told.reduce((sum, [from, to]) => sum + to - from, 0)).toBeLessThan(100)
    within.lookout.stop()
  })

  test('a process that stumbles does not hold it against the shard', async () => {
    const shard = new Shard()
    await shard.wait(400, 400)
    await shard.answer()
    expect(shard.told.every(([, , writable]) => writable)).toBe(true)
    shard.lookout.stop()
  })

  test('its looks neither overlap nor leave anything out', async () => {
    const shard = new Shard()
    for (const ms of [3, 250, 90, 1400, 12, 700]) {
      await shard.wait(ms)
      if (shard.waiting > 0) await shard.answer(ms === 90 ? new Error('READONLY') : undefined)
      await shard.wait(510)
    }
    const ends = shard.told.map(([from, to]) => [from, to] as const)
    expect(ends.every(([from], index) => from === (ends[index - 1]?.[1] ?? 0))).toBe(true)
    shard.lookout.stop()
  })

  test('a stopped one neither writes nor tells any more', async () => {
    const shard = new Shard()
    await shard.answer()
    const told = shard.looks.length
    await shard.wait(500)
    shard.lookout.stop()
    await shard.wait(300)
    await shard.answer()
    await shard.wait(2000)
    expect(shard.waiting).toBe(0)
    expect(shard.looks).toHaveLength(told)
  })
})
