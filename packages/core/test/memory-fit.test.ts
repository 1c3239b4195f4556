import { describe, expect, test } from 'vitest'
import { evictionPolicies, HoldfastError, judgePolicy, parseSpec, policyFor } from '../src/index.ts'

const uses = ['cache', 'session', 'queue', 'primary-store'] as const

const refusalOf = (memory: Record<string, unknown>, use: string): string => {
  try {
    parseSpec({ name: 'shop', use, memory })
    return 'nothing'
  } catch (error) {
    return error instanceof HoldfastError ? error.message : String(error)
  }
}

describe('what is evicted fits what the data is for', () => {
  test('a cache may evict by any policy', () => {
    expect(evictionPolicies.map((policy) => judgePolicy('cache', policy))).toEqual(evictionPolicies.map(() => null))
  })

  test('nothing that refuses writes instead is ever refused', () => {
    expect(uses.map((use) => judgePolicy(use, 'noeviction'))).toEqual([null, null, null, null])
  })

  test.each([
    ['session', ['allkeys-lru', 'allkeys-lfu', 'allkeys-random']],
    ['queue', evictionPolicies.filter((policy) => policy !== 'noeviction')],
    ['primary-store', evictionPolicies.filter((policy) => policy !== 'noeviction')],
  ] as const)('for %s, %s is refused', (use, refused) => {
    expect(evictionPolicies.filter((policy) => judgePolicy(use, policy) !== null)).toEqual(refused)
  })

  test('a spec that names no policy gets one that fits', () => {
    for (const use of uses) {
      expect(judgePolicy(use, policyFor(use))).toBeNull()
      expect(parseSpec({ name: 'shop', use }).memory.policy).toBe(use === 'cache' ? 'allkeys-lru' : 'noeviction')
      expect(parseSpec({ name: 'shop', use, memory: { maxPerNode: '1gb' } }).memory.policy).toBe(policyFor(use))
    }
  })

  test('a spec is refused with the way out, and taken with a reason', () => {
    expect(refusalOf({ policy: 'allkeys-lru' }, 'session')).toBe(
      'memory.policy: allkeys-lru signs people out when memory is short, sessions that never expire too: choose noeviction or volatile-ttl, or say why it may in memory.despite',
    )
    expect(refusalOf({ policy: 'allkeys-lru', despite: 'we can lose sessions' }, 'session')).toBe('nothing')
    expect(refusalOf({ policy: 'allkeys-lru', despite: '' }, 'session')).toContain('memory.despite')
    expect(refusalOf({ policy: 'volatile-ttl' }, 'session')).toBe('nothing')
  })
})
