import { expect, test } from 'vitest'
import { HandClock } from '../../src/testing/hand-clock.ts'

test('time stands still until it is moved', async () => {
  const clock = new HandClock({ now: 5000 })
  const began = clock.monotonic()
  await clock.advance(250)
  expect([clock.now(), clock.monotonic() - began]).toEqual([5250, 250])
})

test('timers are called in their order, each at its own time', async () => {
  const clock = new HandClock({ now: 0 })
  const seen: [string, number][] = []
  clock.after(20, () => seen.push(['late', clock.now()]))
  clock.after(10, () => seen.push(['early', clock.now()]))
  clock.after(10, () => seen.push(['early too', clock.now()]))
  await clock.advance(15)
  expect(seen).toEqual([
    ['early', 10],
    ['early too', 10],
  ])
  expect(clock.waiting).toBe(1)
})

test('what waits in a row is carried through in one advance', async () => {
  const clock = new HandClock({ now: 0 })
  const pause = (ms: number) => new Promise<void>((resolve) => void clock.after(ms, resolve))
  const times: number[] = []
  const loop = (async () => {
    for (let turn = 0; turn < 3; turn++) {
      await pause(100)
      times.push(clock.now())
    }
  })()
  await clock.advance(1000)
  await loop
  expect([times, clock.now()]).toEqual([[100, 200, 300], 1000])
})

test('a timer that was taken back is not called', async () => {
  const clock = new HandClock()
  let called = false
  const cancel = clock.after(1, () => {
    called = true
  })
  cancel()
  await clock.advance(10)
  expect([called, clock.waiting]).toEqual([false, 0])
})

test('wall time alone can jump', () => {
  const clock = new HandClock({ now: 1000 })
  const before = clock.monotonic()
  clock.jump(-400)
  expect([clock.now(), clock.monotonic()]).toEqual([600, before])
})

test('chance repeats with its seed and lies between 0 and 1', () => {
  const draw = (seed: number) => {
    const clock = new HandClock({ seed })
    return Array.from({ length: 1000 }, () => clock.random())
  }
  expect(draw(7)).toEqual(draw(7))
  expect(draw(7)).not.toEqual(draw(8))
  const numbers = draw(7)
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true)
  expect(numbers.reduce((sum, number) => sum + number) / 1000).toBeCloseTo(0.5, 1)
})
