import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judgeFence, refuseOldLift } from '../src/index.ts'

const now = 100_000
const leaseAfterMs = 1500
const long = now - 60_000
const recent = now - 200
const judge = (controllerAt: number, peersAt: readonly number[], awakeSince = long) =>
  judgeFence({ controllerAt, peersAt, awakeSince, now, leaseAfterMs })

describe('an agent fences itself', () => {
  test('where it has lost the controller and all of two other hosts', () => {
    expect(judge(now - 1600, [long, long])).toBe('no controller for 1.6 s, and 0 of 2 other hosts answer')
  })

  test('where it has lost the controller and its only other host', () => {
    expect(judge(long, [long])).not.toBeNull()
  })

  test('where those that it hears are no majority with it: one of three others', () => {
    expect(judge(long, [recent, long, long])).not.toBeNull()
  })
})

describe('an agent fences nothing', () => {
  test('while it has lost the controller alone', () => {
    expect(judge(long, [recent, long])).toBeNull()
    expect(judge(long, [recent, recent, long])).toBeNull()
  })

  test('while it has lost its peers alone', () => {
    expect(judge(recent, [long, long])).toBeNull()
  })

  test('before leaseAfter is over', () => {
    expect(judge(now - 1499, [long, long])).toBeNull()
    expect(judge(long, [now - 1499, long])).toBeNull()
  })

  test('where its deployment has no other host', () => {
    expect(judge(long, [])).toBeNull()
  })

  test('before it has asked around, where it was not awake itself', () => {
    expect(judge(long, [long, long], now - 299)).toBeNull()
    expect(judge(long, [long, long], now - 300)).not.toBeNull()
  })
})

test('of hosts that are parted no two sides without the controller both go on', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), (one, other) => {
      const side = (mine: number, theirs: number) =>
        judge(long, [...Array(mine - 1).fill(recent), ...Array(theirs).fill(long)]) === null
      expect(side(one, other) && side(other, one)).toBe(false)
    }),
  )
})

describe('a fence is lifted', () => {
  const fence = { epoch: 7, reason: 'alone', at: 1 }

  test('by a newer epoch only', () => {
    expect(() => refuseOldLift('node-1', fence, 7)).toThrow(
      'node-1 was fenced in epoch 7, and epoch 7 is not newer: not lifted',
    )
    expect(() => refuseOldLift('node-1', fence, 8)).not.toThrow()
  })

  test('once: where there is none, nothing is refused', () => {
    expect(() => refuseOldLift('node-1', null, 1)).not.toThrow()
  })
})
