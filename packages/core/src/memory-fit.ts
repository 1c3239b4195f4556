/** Whether what is evicted at `maxmemory` fits what the data is for. */

export const evictionPolicies = [
  'noeviction',
  'allkeys-lru',
  'allkeys-lfu',
  'allkeys-random',
  'volatile-lru',
  'volatile-lfu',
  'volatile-random',
  'volatile-ttl',
] as const

export type EvictionPolicy = (typeof evictionPolicies)[number]

type Use = 'cache' | 'session' | 'queue' | 'primary-store'

/** What a spec that names no policy gets: only a cache loses keys without being asked. */
export const policyFor = (use: Use): EvictionPolicy => (use === 'cache' ? 'allkeys-lru' : 'noeviction')

/** Why a policy does not fit, with the way out; null where it does. */
export function judgePolicy(use: Use, policy: EvictionPolicy): string | null {
  if (policy === 'noeviction') return null
  const kind = policy.startsWith('allkeys-') ? 'allkeys' : 'volatile'
  const lost = lostWith[use][kind]
  if (lost === null) return null
  const instead = use === 'session' ? 'noeviction or volatile-ttl' : 'noeviction'
  return `${policy} ${lost}: choose ${instead}, or say why it may in memory.despite`
}

/** What eviction would cost, as the end of "allkeys-lru …"; null: that is what this data is for. */
const lostWith: Readonly<Record<Use, Readonly<Record<'allkeys' | 'volatile', string | null>>>> = {
  cache: { allkeys: null, volatile: null },
  session: { allkeys: 'signs people out when memory is short, sessions that never expire too', volatile: null },
  queue: {
    allkeys: 'throws whole queues away when memory is short',
    volatile: 'throws away jobs that have a time to live when memory is short',
  },
  'primary-store': {
    allkeys: 'deletes data that is nowhere else when memory is short',
    volatile: 'deletes data that is nowhere else, before its time, when memory is short',
  },
}
