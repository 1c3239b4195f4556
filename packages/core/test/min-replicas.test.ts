import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { WriteGuard } from '../src/index.ts'
import { minReplicasToWrite } from '../src/index.ts'

const guard = (over: Partial<WriteGuard>): WriteGuard => ({ replicas: 2, inSync: 2, now: 0, degraded: null, ...over })
const degraded = { by: 'ada', because: 'host-2 is gone until Monday' }

test.each<[over: Partial<WriteGuard>, value: number, says: string]>([
  [{}, 1, '2 replicas are in sync'],
  [{ replicas: 1, inSync: 1 }, 0, 'a failover would stop all writes'],
  [{ inSync: 1 }, 0, '1 of 2 replicas in sync: raised once two are'],
  [{ inSync: 1, now: 1 }, 1, 'kept until a person lowers it'],
  [{ inSync: 0, now: 1 }, 1, 'kept until a person lowers it'],
  [{ inSync: 0, now: 1, degraded }, 0, 'ada accepts writes without a copy: host-2 is gone until Monday'],
])('of %o it is %i', (over, value, says) => {
  const decided = minReplicasToWrite(guard(over))
  expect(decided.value).toBe(value)
  expect(decided.because).toContain(says)
})

test('nothing but a person, or a shard of one replica, ever lowers it', () => {
  const guards = fc.record({
    replicas: fc.integer({ min: 0, max: 5 }),
    inSync: fc.integer({ min: 0, max: 5 }),
    now: fc.constantFrom<0 | 1>(0, 1),
    degraded: fc.constantFrom(null, degraded),
  })
  fc.assert(
    fc.property(guards, (one) => {
      const { value } = minReplicasToWrite(one)
      if (value < one.now) expect(one.degraded !== null || one.replicas < 2).toBe(true)
      if (value > one.now) expect(one.inSync).toBeGreaterThanOrEqual(2)
      expect(minReplicasToWrite({ ...one, now: value }).value).toBe(value)
    }),
  )
})
