import { expect, test } from 'vitest'
import { type Breaker, closedBreaker, isProbeDue, isProbeFailed, probe, trip } from '../../src/engine/breaker.ts'

/** Chance at its upper end: pauses are as long as they can be. */
const longest = 1

test('opens at once, and probes after 100 ms', () => {
  const open = trip(closedBreaker, 1000, 'lost', longest)
  expect(open).toMatchObject({ state: 'open', since: 1000, because: 'lost' })
  expect(isProbeDue(open, 1099)).toBe(false)
  expect(isProbeDue(open, 1100)).toBe(true)
})

test('is never asked for a probe while it is closed', () => {
  expect(isProbeDue(closedBreaker, 1e9)).toBe(false)
  expect(probe(closedBreaker, 1e9, 500)).toBe(closedBreaker)
})

test('what is known already does not put off the probe', () => {
  const open = trip(closedBreaker, 0, 'lost', longest)
  expect(trip(open, 90, 'lost again', longest)).toBe(open)
})

test('each failed probe doubles the pause, up to a second', () => {
  let breaker: Breaker = trip(closedBreaker, 0, 'silent', longest)
  const pauses: number[] = []
  for (let now = 0; pauses.length < 6; ) {
    if (breaker.state !== 'open') throw new Error('it should be open')
    pauses.push(breaker.until - now)
    now = breaker.until
    const asked = probe(breaker, now, 500)
    expect(isProbeFailed(asked, now + 499)).toBe(false)
    now += 500
    expect(isProbeFailed(asked, now)).toBe(true)
    breaker = trip(asked, now, 'silent', longest)
  }
  expect(pauses).toEqual([100, 200, 400, 800, 1000, 1000])
})

test('remembers since when it is open through all its probes', () => {
  const open = trip(probe(trip(closedBreaker, 5, 'silent', 0), 100, 500), 600, 'silent still', 0)
  expect(open).toMatchObject({ state: 'open', since: 5, because: 'silent still', failed: 1 })
})

test('chance never takes more than half of a pause', () => {
  const soon = trip(closedBreaker, 0, 'lost', 0)
  expect(isProbeDue(soon, 49)).toBe(false)
  expect(isProbeDue(soon, 50)).toBe(true)
})
