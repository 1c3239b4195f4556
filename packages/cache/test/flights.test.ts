import { expect, test } from 'vitest'
import { Flight, Flights } from '../src/flights.ts'

test('a flight that has answered still has its key until it lands', async () => {
  const flights = new Flights<Flight<number>>()
  const flight = new Flight<number>('k')
  flights.takeOff(flight)
  flight.resolve(1)
  expect(await flights.current('k')?.answer).toBe(1)
  flights.land(flight)
  expect([flights.current('k'), flights.size]).toEqual([undefined, 0])
})

test('only the first word of a flight counts', async () => {
  const flight = new Flight<number>('k')
  flight.resolve(1)
  flight.reject(new Error('too late'))
  flight.resolve(2)
  expect(await flight.answer).toBe(1)
})

test('who comes after the key was changed begins anew, and the older flight takes nothing away when it lands', () => {
  const flights = new Flights<Flight<number>>()
  const [older, newer] = [new Flight<number>('k'), new Flight<number>('k')]
  flights.takeOff(older)
  flights.forget('k')
  expect(flights.current('k')).toBeUndefined()
  flights.takeOff(newer)
  flights.land(older)
  expect(flights.current('k')).toBe(newer)
})
