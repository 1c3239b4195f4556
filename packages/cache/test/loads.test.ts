import { expect, test } from 'vitest'
import { Loads } from '../src/loads.ts'
import { HandClock } from '../src/testing/hand-clock.ts'

const limits = { atOnce: 4, atOnceWhenAway: 2, waiting: 3 }

function loadsWithDoors() {
  const clock = new HandClock()
  const loads = new Loads(limits, clock)
  const doors: ((value: string) => void)[] = []
  const load = (): Promise<string> => new Promise((resolve) => doors.push(resolve))
  return { clock, loads, doors, load }
}

test('fewer loads run at once while the engine is away', async () => {
  const { loads, doors, load } = loadsWithDoors()
  const running = [1, 2, 3].map(() => loads.run(load, { away: true, withinMs: 1000 }))
  expect([loads.running, loads.waiting, doors.length]).toEqual([2, 1, 2])
  doors[0]?.('first')
  expect(await running[0]).toBe('first')
  expect([loads.running, loads.waiting, doors.length]).toEqual([2, 0, 3])
  for (const open of doors) open('done')
  await Promise.all(running)
  expect(loads.running).toBe(0)
})

test('one too many is refused at once, and the source is not asked', async () => {
  const { loads, doors, load } = loadsWithDoors()
  const running = Array.from({ length: 5 }, () => loads.run(load, { away: true, withinMs: 1000 }))
  await expect(loads.run(load, { away: true, withinMs: 1000 })).rejects.toMatchObject({ code: 'OVERLOADED' })
  expect(doors.length).toBe(2)
  while (loads.running > 0) {
    for (const open of doors.splice(0)) open('done')
    await Promise.resolve()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all(running)
})

test('whose turn does not come in time is refused, and makes room', async () => {
  const { clock, loads, doors, load } = loadsWithDoors()
  const running = [1, 2].map(() => loads.run(load, { away: true, withinMs: 1000 }))
  const late = loads.run(load, { away: true, withinMs: 50 })
  const refused = expect(late).rejects.toMatchObject({ code: 'OVERLOADED' })
  await clock.advance(50)
  await refused
  expect(loads.waiting).toBe(0)
  for (const open of doors) open('done')
  await Promise.all(running)
})

test('a load that fails makes room as well', async () => {
  const { loads } = loadsWithDoors()
  const failing = loads.run(() => Promise.reject(new Error('down')), { away: true, withinMs: 1000 })
  await expect(failing).rejects.toThrow('down')
  expect(loads.running).toBe(0)
})

test('misses of living nodes pass those that wait for a dead one', () => {
  const { loads, doors, load } = loadsWithDoors()
  for (let count = 0; count < 3; count++) void loads.run(load, { away: true, withinMs: 1000 })
  void loads.run(load, { away: false, withinMs: 1000 })
  expect([doors.length, loads.waiting]).toEqual([3, 1])
})
