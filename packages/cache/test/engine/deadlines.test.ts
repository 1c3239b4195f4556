import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Deadlines, type Expiring } from '../../src/engine/deadlines.ts'
import { HandClock } from '../../src/testing/hand-clock.ts'

interface Waiting extends Expiring {
  readonly expiredAt: number[]
  readonly late: number[]
}

function waiting(clock: HandClock, deadlineAt: number, then = (): void => {}): Waiting {
  const expiredAt: number[] = []
  const late: number[] = []
  return {
    deadlineAt,
    expiredAt,
    late,
    wheelSlot: -1,
    wheelNext: null,
    wheelPrevious: null,
    expire(lateMs) {
      expiredAt.push(clock.monotonic())
      late.push(lateMs)
      then()
    },
  }
}

test('expires what is due within a tick, and nothing before', async () => {
  const clock = new HandClock()
  const deadlines = new Deadlines(clock)
  const start = clock.monotonic()
  const item = waiting(clock, start + 252)
  deadlines.add(item)
  await clock.advance(251)
  expect(item.expiredAt).toEqual([])
  await clock.advance(6)
  expect(item.expiredAt).toHaveLength(1)
})

test('has no timer while nobody waits', async () => {
  const clock = new HandClock()
  const deadlines = new Deadlines(clock)
  const item = waiting(clock, clock.monotonic() + 1000)
  deadlines.add(item)
  deadlines.remove(item)
  expect(deadlines.size).toBe(0)
  await clock.advance(10)
  expect(clock.waiting).toBe(0)
  deadlines.add(item)
  await clock.advance(1010)
  expect(item.expiredAt).toHaveLength(1)
  expect(clock.waiting).toBe(0)
})

test('a deadline that has passed already expires at the next tick', async () => {
  const clock = new HandClock()
  const deadlines = new Deadlines(clock)
  const item = waiting(clock, clock.monotonic() - 10_000)
  deadlines.add(item)
  await clock.advance(5)
  expect(item.expiredAt).toHaveLength(1)
})

test('what expires may add and remove others', async () => {
  const clock = new HandClock()
  const deadlines = new Deadlines(clock)
  const start = clock.monotonic()
  const other = waiting(clock, start + 400)
  const added = waiting(clock, start + 60)
  deadlines.add(other)
  deadlines.add(
    waiting(clock, start + 50, () => {
      deadlines.remove(other)
      deadlines.add(added)
    }),
  )
  await clock.advance(1000)
  expect(added.expiredAt).toHaveLength(1)
  expect(other.expiredAt).toEqual([])
})

test('after a stall of our own, answers are read first, and the lateness is told', () => {
  const fired: (() => void)[] = []
  let now = 10_000
  const clock = {
    now: () => now,
    monotonic: () => now,
    random: () => 0,
    after: (_ms: number, call: () => void) => {
      fired.push(call)
      return () => {}
    },
  }
  const deadlines = new Deadlines(clock)
  const item = waiting(new HandClock(), now + 20)
  deadlines.add(item)
  now += 300
  fired.shift()?.()
  expect(item.late).toEqual([])
  now += 1
  fired.shift()?.()
  expect(item.late).toEqual([295])
})

test('law: everybody expires once, in time, whatever the others do', async () => {
  const delays = fc.array(fc.record({ ms: fc.integer({ min: 1, max: 9000 }), leaves: fc.boolean() }), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(delays, async (all) => {
      const clock = new HandClock()
      const deadlines = new Deadlines(clock)
      const start = clock.monotonic()
      const items = all.map(({ ms, leaves }) => ({ item: waiting(clock, start + ms), leaves }))
      for (const { item } of items) deadlines.add(item)
      for (const { item, leaves } of items) if (leaves) deadlines.remove(item)
      await clock.advance(9010)
      for (const { item, leaves } of items) {
        const lateMs = item.expiredAt.map((at) => at - item.deadlineAt)
        expect(lateMs.length).toBe(leaves ? 0 : 1)
        for (const ms of lateMs) expect(ms >= 0 && ms <= 5).toBe(true)
      }
      expect(deadlines.size).toBe(0)
    }),
    { numRuns: 8 },
  )
}, 30_000)
