import { describe, expect, test } from 'vitest'
import type { NodePicture, Picture } from '../../src/index.ts'
import { lookAtLoad, parseInfo, parseLoad, sampleOf } from '../../src/index.ts'

interface Said {
  readonly primary?: string
  readonly runId?: string
  readonly mainThreadMs?: number | null
  readonly backlogBytes?: number
  readonly evictedKeys?: number
  readonly hits?: number
  readonly answers?: boolean
  readonly role?: 'primary' | 'replica'
}

/** A look at one shard in which its primary says this. */
function lookAt(at: number, said: Said = {}, others: readonly string[] = []) {
  const { primary = 'node-1', runId = 'a', mainThreadMs = 0, backlogBytes = 0, evictedKeys = 0, hits = 0 } = said
  const node = (id: string): NodePicture =>
    ({
      id,
      facts:
        said.answers === false
          ? null
          : {
              role: said.role ?? 'primary',
              memoryBytes: 40,
              memoryMaxBytes: 100,
              load: { runId, mainThreadMs, backlogBytes, evictedKeys, hits, misses: 0 },
            },
      seen: { engine: { kind: 'answered', at } },
    }) as never
  const shards = [{ id: 'shard-1', primary: node(primary) }, ...others.map((id) => ({ id, primary: node(`of-${id}`) }))]
  return lookAtLoad({ at, shards } as unknown as Picture)
}

const cpuBetween = (before: Said, after: Said) => sampleOf(lookAt(1000, before), lookAt(11_000, after)).shards[0]?.cpu

describe('a sample', () => {
  test('is what happened between two looks', () => {
    const before = lookAt(1000, { mainThreadMs: 500, evictedKeys: 7, hits: 100 })
    const sample = sampleOf(before, lookAt(11_000, { mainThreadMs: 7700, evictedKeys: 9, hits: 130 }))
    expect(sample).toEqual({
      at: 11_000,
      shards: [
        {
          shard: 'shard-1',
          primary: 'node-1',
          cpu: 0.72,
          memoryBytes: 40,
          memoryMaxBytes: 100,
          evicted: 2,
          hits: 30,
          misses: 0,
        },
      ],
    })
  })

  test('counts as memory what is left beside the backlog', () => {
    const sample = sampleOf(lookAt(1000), lookAt(11_000, { backlogBytes: 20 }))
    expect(sample.shards[0]).toMatchObject({ memoryBytes: 20, memoryMaxBytes: 80 })
    const small = sampleOf(lookAt(1000), lookAt(11_000, { backlogBytes: 90 }))
    expect(small.shards[0]).toMatchObject({ memoryBytes: 0, memoryMaxBytes: 25 })
  })

  test.each<[string, Said, Said]>([
    ['a restart: the counters are those of another process', { mainThreadMs: 500 }, { runId: 'b', mainThreadMs: 600 }],
    ['a failover: the counters are those of another node', {}, { primary: 'node-4', mainThreadMs: 600 }],
    ['counters that were set back', { mainThreadMs: 500 }, { mainThreadMs: 400 }],
    ['a primary that does not answer now', {}, { answers: false }],
    ['a primary that did not answer before', { answers: false }, {}],
    ['an engine that calls itself a replica', {}, { role: 'replica' }],
    ['an engine that does not tell its main thread', { mainThreadMs: null }, { mainThreadMs: null }],
  ])('lacks the CPU of a primary after %s', (_, before, after) => {
    expect(cpuBetween(before, after)).toBeNull()
  })

  test('lacks only what was set back', () => {
    const sample = sampleOf(lookAt(1000, { hits: 50 }), lookAt(11_000, { hits: 20, mainThreadMs: 100 }))
    expect(sample.shards[0]).toMatchObject({ hits: null, cpu: 0.01, evicted: 0 })
  })

  test('has no more than one core for one thread', () => {
    expect(cpuBetween({ mainThreadMs: 0 }, { mainThreadMs: 10_004 })).toBe(1)
  })

  test('has each shard that there is now, whether there was one before or not', () => {
    const sample = sampleOf(lookAt(1000, {}, ['shard-2']), lookAt(11_000, { mainThreadMs: 100 }, ['shard-3']))
    expect(sample.shards.map(({ shard, cpu }) => [shard, cpu])).toEqual([
      ['shard-1', 0.01],
      ['shard-3', null],
    ])
  })
})

describe('INFO', () => {
  const info = (more: string) =>
    parseInfo(`run_id:abc\r\nevicted_keys:3\r\nkeyspace_hits:20\r\nkeyspace_misses:5\r\n${more}`)

  test('tells what the main thread used', () => {
    const text = 'used_cpu_sys:9.0\r\nused_cpu_sys_main_thread:0.25\r\nused_cpu_user_main_thread:1.5\r\n'
    expect(parseLoad(info(text))).toEqual({
      runId: 'abc',
      mainThreadMs: 1750,
      backlogBytes: 0,
      evictedKeys: 3,
      hits: 20,
      misses: 5,
    })
  })

  test('of an engine that does not know its main thread is no zero', () => {
    expect(parseLoad(info('used_cpu_sys:9.0\r\n')).mainThreadMs).toBeNull()
  })
})
