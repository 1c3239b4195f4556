import { describe, expect, test } from 'vitest'
import type { FaultName } from '../../src/index.ts'
import { faultNames, judge, lossBound, parseSpec, timeBound, wasFencedLately } from '../../src/index.ts'
import type { JudgedWorld } from '../support/drill.ts'
import { absent, aWrite, faultAt, judged, writing } from '../support/drill.ts'

const broken = (world: JudgedWorld): string[] =>
  judge(judged(world))
    .promises.filter(({ kept }) => !kept)
    .map(({ what, found }) => `${what}: ${found}`)

const last = (key: string, msBefore: number, client: 'cache' | 'durable' = 'cache') =>
  aWrite({ key, client, endedAt: faultAt - msBefore })

describe('the verdict', () => {
  test('is kept where nothing is lost and writing went on in time', () => {
    const { verdict } = judge(judged({ operations: writing({}, { from: 0, to: 200 }) }))
    expect(verdict).toEqual({ kept: true, because: '0 lost writes of 281 acknowledged, and every promise was kept' })
  })

  test('an outage above the bound breaks it, and says which', () => {
    expect(broken({ operations: writing({}, { from: 0, to: 1300 }) })).toEqual([
      'cache writes again within 1 s: 1.3 s at most, in shard-1; without a fault 10 ms',
    ])
  })

  test("a pause that the machine makes without a fault, too, is not the fault's", () => {
    const operations = writing({}, { from: 0, to: 1300 })
    const isQuietPause = ({ endedAt }: { endedAt: number }): boolean =>
      endedAt > faultAt - 900 && endedAt < faultAt - 500
    expect(broken({ operations: operations.filter((one) => !isQuietPause(one)) })).toEqual([])
  })

  test('the outage of a client that is not ours is told, not judged', () => {
    expect(broken({ operations: writing({ client: 'ioredis' }, { from: 0, to: 1900 }) })).toEqual([])
  })

  test('what the replica lacked may be lost after a death, and what it had for longer may not', () => {
    const operations = [...writing(), last('new', 30), last('old', 1100)]
    expect(broken({ operations, instead: { new: absent } })).toEqual([])
    expect(broken({ operations, instead: { new: absent, old: absent } })).toEqual([
      'only the last writes before the fault may be lost (cache): 2 of 302 lost, 1 of them not among the last 1 s',
    ])
  })

  test('what was acknowledged after the fault may not be lost', () => {
    const operations = [...writing({}, { from: 0, to: 200 }), aWrite({ key: 'late', endedAt: faultAt + 500 })]
    expect(broken({ operations, instead: { late: absent } })).toHaveLength(1)
  })

  test('what a host took that only clients reached may be lost until it has fenced itself', () => {
    const late = (ms: number) => aWrite({ key: `late ${ms}`, endedAt: faultAt + ms })
    const world = { fault: 'cut-peers', operations: [...writing(), late(1500), late(2600)] } as const
    const broken25 = broken({ ...world, instead: { 'late 1500': absent } })
    expect(broken25.filter((one) => one.includes('lost (cache)'))).toEqual([])
    expect(
      broken({ ...world, instead: { 'late 2600': absent } }).filter((one) => one.includes('lost (cache)')),
    ).toEqual([
      'only the last writes before the fault and the first after it may be lost (cache): 1 of 302 lost, 1 of them not among these',
    ])
  })

  test('a durable write may never be lost', () => {
    const operations = [...writing(), last('new', 30, 'durable')]
    expect(broken({ operations, instead: { new: absent }, spec: { replicasPerShard: 2 } })).toContain(
      'no acknowledged write is lost (durable): 1 of 1 lost',
    )
  })

  test('nothing may be lost where no primary was taken away', () => {
    const operations = [...writing(), last('new', 30)]
    expect(broken({ fault: 'kill-replica', operations, instead: { new: absent } })).toEqual([
      'no acknowledged write is lost (cache): 1 of 301 lost',
    ])
  })

  test('all may be lost with every process where there is no file', () => {
    const operations = writing()
    const instead = Object.fromEntries(operations.map(({ key }) => [key, absent]))
    expect(broken({ fault: 'kill-all', operations, instead, spec: { persistence: 'none' } })).toEqual([])
    expect(broken({ fault: 'kill-all', operations, instead })).not.toEqual([])
  })

  test('a call of our own client that fails within its patience breaks it', () => {
    const operations = [...writing(), aWrite({ key: 'f', outcome: 'failed', endedAt: faultAt + 20 })]
    expect(broken({ operations, instead: { f: absent } })).toEqual([
      'no call of cache fails: 1 failed or were left undecided',
    ])
  })

  test('a client that called failed what is there has told a falsehood', () => {
    const operations = [...writing(), aWrite({ key: 'f', outcome: 'failed' })]
    expect(broken({ fault: 'disk-full', operations })).toEqual([
      'what our clients call failed was not done: 1 of it there',
    ])
  })

  test('a key that nobody read, a writer that died and a record without writes prove nothing', () => {
    const operations = writing()
    const unread = { owner: 'unread', replicas: {} } as const
    expect(broken({ operations, instead: { [operations[0]?.key ?? '']: unread } })[0]).toMatch(
      /1 acknowledged key could not be read/,
    )
    expect(broken({ operations, gap: 'the process that writes ended by itself (SIGKILL)' })[0]).toMatch(
      /ended by itself/,
    )
    expect(broken({ operations: [] })[0]).toMatch(/no write was acknowledged at all/)
  })

  test('a replica that differs breaks it, and so does one that nobody could read', () => {
    const operations = writing()
    const { key, value } = aWrite({ key: operations[0]?.key ?? '' })
    const withCopy = (copy: 'absent' | 'unread') => ({ [key]: { owner: { value }, replicas: { 'node-4': copy } } })
    expect(broken({ operations, instead: withCopy('absent') })[0]).toMatch(/1 of 300 copies differ/)
    expect(broken({ operations, instead: withCopy('unread') })[0]).toMatch(/1 could not be read/)
  })

  test('a deployment that is not ready again breaks it', () => {
    expect(broken({ operations: writing(), readyAfterMs: null })).toEqual([
      'the deployment is ready again, with all its copies: not within 90 s after the fault was healed',
    ])
  })

  test('evicted keys break nothing, unless more are missing', () => {
    const operations = writing()
    const instead = Object.fromEntries(operations.slice(0, 4).map(({ key }) => [key, absent]))
    const world = { fault: 'memory-full', operations, instead } as const
    expect(broken({ ...world, evicted: { 'shard-1': 4 } })).toEqual([])
    expect(broken({ ...world, evicted: { 'shard-1': 3 } })[0]).toMatch(
      /4 of the drill's keys are missing, 3 keys were evicted/,
    )
  })
})

const lasting = (lastedMs: number) => ({ lastedMs, fenceSpent: false })

describe('a bound', () => {
  const spec = parseSpec({ name: 'it', timeouts: { node: '2s', frozenAfter: '1s' } })
  const msOf = (fault: FaultName, changes = {}) =>
    timeBound(fault, 'cache', { ...spec, ...changes }, lasting(20_000)).ms

  test('follows the timeouts of the spec', () => {
    expect([msOf('kill-primary'), msOf('kill-two'), msOf('freeze'), msOf('unattended'), msOf('busy')]).toEqual([
      1000, 1000, 2000, 7000, 8000,
    ])
    expect(timeBound('busy', 'cache', spec, lasting(500)).ms).toBe(1500)
  })

  test("of a freeze is the engines' own where the shard was fenced lately", () => {
    expect(timeBound('freeze', 'cache', spec, { lastedMs: 20_000, fenceSpent: true }).ms).toBe(7000)
    const killed = {
      kind: 'action',
      subject: 'node-1',
      because: 'kill the frozen engine of node-1 (pid 7)',
      at: 1000,
    } as const
    const events = [{ seq: 1, epoch: 1, deployment: 'it', cause: null, actor: 'controller', ...killed }]
    expect(wasFencedLately(events, ['node-1', 'node-4'], 600_999)).toBe(true)
    expect(wasFencedLately(events, ['node-1', 'node-4'], 601_000)).toBe(false)
    expect(wasFencedLately(events, ['node-2', 'node-5'], 2000)).toBe(false)
  })

  test('is not there without a replica, where the shard waits for its own primary', () => {
    expect([msOf('kill-primary', { replicasPerShard: 0 }), msOf('storm', { replicasPerShard: 0 })]).toEqual([
      null,
      2000,
    ])
  })

  test('is not there for durable writes while the only other copy is away', () => {
    expect(timeBound('kill-replica', 'durable', spec, lasting(0)).ms).toBeNull()
    expect(timeBound('kill-replica', 'durable', { ...spec, replicasPerShard: 2 }, lasting(0)).ms).toBe(1000)
    expect(timeBound('storm', 'durable', spec, lasting(0)).ms).toBe(2000)
  })

  test('has a reason for every fault and client', () => {
    for (const fault of faultNames) {
      for (const client of ['cache', 'durable'] as const) {
        expect(timeBound(fault, client, spec, lasting(1000)).because).not.toBe('')
        expect(lossBound(fault, client, spec).because).not.toBe('')
      }
    }
  })

  test('of what is lost is failover.maxLag, and none for durable writes', () => {
    expect(lossBound('kill-primary', 'ioredis', spec)).toMatchObject({ may: 'the last ones', withinMs: 1000 })
    expect(lossBound('kill-primary', 'durable', spec).may).toBe('none')
    expect(lossBound('kill-all', 'cache', { ...spec, persistence: 'none' }).may).toBe('any')
  })
})

describe('a deployment of class durable', () => {
  const durable = parseSpec({ name: 'shop', durability: 'durable', replicasPerShard: 2 })
  const native = { ...durable, durability: { class: 'durable', fallback: 'native' } as const }
  const circumstances = { lastedMs: 10_000, fenceSpent: false }

  test('is promised nothing about time where only a controller promotes, and none is there', () => {
    expect(timeBound('unattended', 'durable', durable, circumstances).ms).toBeNull()
    expect(timeBound('unattended', 'durable', native, circumstances).ms).toBe(13_000)
    expect(timeBound('kill-host', 'durable', durable, circumstances).ms).toBeNull()
    expect(timeBound('cut-peers', 'durable', native, circumstances).ms).toBe(13_000)
    expect(timeBound('cut-host', 'durable', durable, circumstances).ms).toBe(3500)
    expect(timeBound('freeze', 'durable', durable, { ...circumstances, fenceSpent: true }).ms).toBeNull()
    expect(timeBound('busy', 'durable', durable, circumstances).ms).toBe(11_000)
    expect(timeBound('kill-primary', 'durable', durable, circumstances).ms).toBe(1000)
  })
})
