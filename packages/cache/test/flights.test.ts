import { expect, test } from 'vitest'
import { Flights } from '../src/flights.ts'

function flight<T>(answer: Promise<T>, landed: Promise<unknown> = answer.catch(() => {})) {
  return () => ({ answer, landed })
}

test('a hundred callers, one promise', async () => {
  const flights = new Flights<number>()
  let begun = 0
  const begin = () => {
    begun++
    return flight(Promise.resolve(1))()
  }
  await Promise.all(Array.from({ length: 100 }, () => flights.join('k', begin)))
  expect(begun).toBe(1)
})

test('a key is free again when its flight has landed, not when it has answered', async () => {
  const flights = new Flights<number>()
  let land: () => void = () => {}
  const landed = new Promise<void>((resolve) => (land = resolve))
  expect(await flights.join('k', flight(Promise.resolve(1), landed))).toBe(1)
  expect(await flights.join('k', flight(Promise.resolve(2)))).toBe(1)
  land()
  await landed
  expect(flights.size).toBe(0)
  expect(await flights.join('k', flight(Promise.resolve(3)))).toBe(3)
})

test('an error reaches everybody and is forgotten', async () => {
  const flights = new Flights<number>()
  const failing = flight(Promise.reject<number>(new Error('down')))
  const both = await Promise.allSettled([flights.join('k', failing), flights.join('k', failing)])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(await flights.join('k', flight(Promise.resolve(2)))).toBe(2)
})

test('who comes after the key was changed begins anew, and the older flight takes nothing away when it lands', async () => {
  const flights = new Flights<number>()
  let land: () => void = () => {}
  const landed = new Promise<void>((resolve) => (land = resolve))
  const older = flights.join('k', flight(Promise.resolve(1), landed))
  flights.forget('k')
  const newer = flights.join('k', flight(Promise.resolve(2), new Promise(() => {})))
  land()
  expect(await older).toBe(1)
  expect(await newer).toBe(2)
  expect(await flights.join('k', flight(Promise.resolve(3)))).toBe(2)
})
