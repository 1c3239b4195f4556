import { setTimeout as delay } from 'node:timers/promises'
import type { DrillOperation } from '@holdfast/core'
import { slotOf } from '@holdfast/core'
import { describe, expect, test } from 'vitest'
import { evictedBetween } from '../../src/drill/evictions.ts'
import { Workload } from '../../src/drill/workload.ts'
import { restMsFor, tagsOf, writersFor } from '../../src/drill/writers.ts'

const where = { topology: 'cluster', nodes: [], sentinels: [], masterName: '', user: 'app', password: '' } as const
const writers = [{ client: 'cache', shard: 'shard-1', tag: '{1}' }] as const

describe('the writers of a drill', () => {
  test('give each write one key and one outcome; what never ends is undecided, and stays so when it ends after all', async () => {
    const operations: DrillOperation[] = []
    let answerLate = (): void => {}
    let count = 0
    let hang = (): void => {}
    const hangs = new Promise<void>((resolve) => void (hang = resolve))
    const open = () => ({
      key: (tag: string, name: string) => tag + name,
      write: async () => {
        if (++count === 3) {
          hang()
          await new Promise<void>((resolve) => void (answerLate = resolve))
        }
        return { outcome: 'ok', said: null } as const
      },
      close: () => {},
    })
    const workload = new Workload({ drill: 'd', where, writers, restMs: 1 }, (one) => operations.push(one), open)
    await hangs
    await workload.stop()
    expect(operations.map(({ outcome }) => outcome)).toEqual(['ok', 'ok', 'indeterminate'])
    expect(operations[2]?.said).toBe('no answer until the drill ended')
    expect(new Set(operations.map(({ key }) => key)).size).toBe(3)
    answerLate()
    await delay(5)
    expect(operations).toHaveLength(3)
  })

  test('write into every shard, whatever slots it has', () => {
    const shards = [
      { id: 'shard-1', slots: [[0, 100]], primary: null, replicas: [] },
      { id: 'shard-2', slots: [[16_383, 16_383]], primary: null, replicas: [] },
    ] as const
    const tags = tagsOf({ shards })
    expect(slotOf(tags.get('shard-1') ?? '')).toBeLessThanOrEqual(100)
    expect(slotOf(tags.get('shard-2') ?? '')).toBe(16_383)
    expect(writersFor(['cache', 'ioredis'], tags)).toHaveLength(4)
  })

  test('rest longer where a long drill would write more than a page can hold', () => {
    expect(restMsFor(12, 30_000)).toBe(4)
    expect(Math.floor(660_000 / restMsFor(400, 660_000)) * 400).toBeLessThanOrEqual(300_000)
  })
})

describe('evictions', () => {
  const look = (keys: number, run = 'a') => new Map([['node-1', { shard: 'shard-1', run, keys }]])

  test('are counted from look to look, and from its start for an engine that was started meanwhile', () => {
    expect(evictedBetween([look(5), look(9)])).toEqual({ 'shard-1': 4 })
    expect(evictedBetween([look(5), look(2, 'b')])).toEqual({ 'shard-1': 2 })
    expect(evictedBetween([look(5), new Map(), look(8)])).toEqual({ 'shard-1': 3 })
  })

  test('that nobody saw begin excuse nothing', () => {
    expect(evictedBetween([new Map(), look(1000)])).toEqual({})
  })
})
