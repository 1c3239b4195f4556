import { expect, test } from 'vitest'
import { condense, shapeOf } from '../../src/cli/condense.ts'

test('says once what several nodes say, and how many others say it', () => {
  expect(condense('starting node-1: it is not running; starting node-4: it is not running')).toBe(
    'starting node-1: it is not running (and 1 more like this)',
  )
})

test('keeps what differs, in its order', () => {
  const because = 'node-3 does not accept writes yet; node-1 sees node-6 differently'
  expect(condense(because)).toBe(because)
})

test('time that passes is no news, another count is', () => {
  const failed = (times: string, ms: string) => `node-1 failed to start ${times} (no port): trying again in ${ms}`
  expect(shapeOf(failed('once', '290 ms'))).toBe(shapeOf(failed('once', '1.5 s')))
  expect(shapeOf(failed('2 times', '290 ms'))).not.toBe(shapeOf(failed('3 times', '290 ms')))
})
