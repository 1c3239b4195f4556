import { expect, test } from 'vitest'
import { pauseMs } from '../../src/engine/backoff.ts'

const bounds = { fromMs: 2, toMs: 100 }

test('the bound of a pause doubles until it is reached', () => {
  expect([0, 1, 2, 3, 10, 5000].map((tries) => pauseMs(tries, bounds, 1))).toEqual([2, 4, 8, 16, 100, 100])
})

test('a pause is any part of its bound', () => {
  expect(pauseMs(5, bounds, 0)).toBe(0)
  expect(pauseMs(5, bounds, 0.25)).toBe(16)
})
