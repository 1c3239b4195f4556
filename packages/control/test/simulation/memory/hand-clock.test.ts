import { expect, test } from 'vitest'
import { HandClock } from './hand-clock.ts'

test('timers run in the order of their times, and of their asking where times are equal', async () => {
  const clock = new HandClock(0)
  const ran: string[] = []
  for (const [name, at] of [
    ['c', 30],
    ['a', 10],
    ['b2', 20],
    ['b1', 20],
    ['z', 99],
  ] as const) {
    clock.at(at, () => ran.push(`${name} at ${clock.now()}`))
  }
  await clock.advance(50)
  expect(ran).toEqual(['a at 10', 'b2 at 20', 'b1 at 20', 'c at 30'])
  expect(clock.now()).toBe(50)
})

test('whoever was woken gets to its next wait before the hand moves on', async () => {
  const clock = new HandClock(0)
  const ran: number[] = []
  const walker = async () => {
    for (let i = 0; i < 3; i++) {
      await clock.sleep(10)
      ran.push(clock.now())
    }
  }
  await clock.until(walker())
  expect(ran).toEqual([10, 20, 30])
})

test('a sleep ends early when its signal fires', async () => {
  const clock = new HandClock(0)
  const stop = new AbortController()
  clock.at(5, () => stop.abort())
  await clock.until(clock.sleep(1000, stop.signal))
  expect(clock.now()).toBe(5)
})

test('what never settles is said, not waited for', async () => {
  const clock = new HandClock(0)
  const never = new Promise<void>(() => undefined)
  clock.at(1e9, () => undefined)
  await expect(clock.until(never, 1000)).rejects.toThrow('not settled within 1000 ms')
})
