/** What an edit of the spec does to a deployment that runs: live, with a rolling restart, or not at all. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

const nodes = ['node-1', 'node-2', 'node-3', 'node-4', 'node-5', 'node-6'] as const

let it: TestDeployment
beforeAll(async () => {
  it = await TestDeployment.up({ persistence: 'rdb' })
})
afterAll(() => it?.close())

const spec = (fields: Readonly<Record<string, unknown>>) => ({ ...it.spec, ...fields })
const pids = () => nodes.map((id) => it.pidOf(id))
const valueOf = async (id: string, name: string): Promise<unknown> => {
  const pair = await it.command(id, 'CONFIG', 'GET', name)
  return Array.isArray(pair) ? pair[1] : pair
}

async function settled(revision = 1): Promise<void> {
  await eventually(
    () => {
      const { settledRevision, specRevision, because, ready } = it.status()
      if (ready !== 'yes' || specRevision < revision || settledRevision !== specRevision)
        throw new Error(`${settledRevision}: ${because}`)
    },
    { withinMs: 55_000, what: 'settled' },
  )
}

async function everywhere(name: string, value: string): Promise<void> {
  for (const id of nodes) expect(await valueOf(id, name), id).toBe(value)
}

describe('an edit that engines take while they run', () => {
  test('changes persistence and directives on every node, and no process', async () => {
    await settled()
    const before = pids()
    const preview = await it.controller.plan(spec({ persistence: 'hybrid', config: { 'slowlog-max-len': 77 } }))
    expect(preview.because).toBe('2 fields would change, live and without a restart')
    expect(preview.edits.map(({ path, how }) => [path, how])).toEqual([
      ['config.slowlog-max-len', 'live'],
      ['persistence', 'live'],
    ])
    const edit = spec({ persistence: 'hybrid', config: { 'slowlog-max-len': 77 } })
    await settled((await it.controller.apply(edit, null, 'test')).revision)
    await everywhere('appendonly', 'yes')
    await everywhere('save', '')
    await everywhere('slowlog-max-len', '77')
    expect(pids()).toEqual(before)
    expect(it.status().lossWindow).toContain('power failure: up to 2 s of writes')
  })

  test('leaves what somebody changes by hand later, where Holdfast does not own it', async () => {
    await it.command('node-1', 'CONFIG', 'SET', 'slowlog-max-len', '5')
    await it.command('node-1', 'CONFIG', 'SET', 'appendfsync', 'no')
    await eventually(async () => expect(await valueOf('node-1', 'appendfsync')).toBe('everysec'), { withinMs: 10_000 })
    expect(await valueOf('node-1', 'slowlog-max-len')).toBe('5')
  })
})

describe('an edit that is refused', () => {
  const refusal = async (fields: Readonly<Record<string, unknown>>): Promise<{ code?: string; message?: string }> => {
    // A node that was silent at the last look may be full, and that would be the reason.
    await eventually(() => it.status().nodes.every(({ memoryBytes }) => memoryBytes !== null), { withinMs: 20_000 })
    const { specRevision } = it.status()
    const edit = spec({ persistence: 'hybrid', staleReads: 'no', ...fields })
    const said = await it.controller.apply(edit, null, 'test').then(
      () => ({}),
      (error: { code: string; message: string }) => error,
    )
    expect(it.controller.spec('it')?.revision).toBe(specRevision)
    return said
  }

  test('for its topology changes nothing else, and says the way', async () => {
    const said = await refusal({ topology: 'standalone', shards: 1, replicasPerShard: 0 })
    expect(said.code).toBe('SPEC_IMMUTABLE')
    expect(said.message).toContain('Create a deployment with topology standalone under another name')
    expect(await valueOf('node-1', 'replica-serve-stale-data')).toBe('yes')
  })

  test('for less memory than is used says the numbers, and what a cache would lose', async () => {
    const { id } = it.primaryOf('shard-1')
    await it.command(id, 'EVAL', fill, '1', keyOf(await slotOf(id)))
    await eventually(() => {
      const used = it.node(id).memoryBytes ?? 0
      if (used < 9_000_000) throw new Error(`${used}`)
    })
    const said = await refusal({ memory: { maxPerNode: '8mb' } })
    expect(said.code).toBe('REFUSED_UNSAFE')
    expect(said.message).toMatch(
      new RegExp(`${id} uses [\\d.]+ MB.*with allkeys-lru about [\\d.]+ MB of keys would be`),
    )
    expect((await refusal({ memory: { maxPerNode: '8mb', policy: 'noeviction' } })).message).toContain(
      'with noeviction writes would be refused',
    )
    await it.command(id, 'FLUSHALL')
  })

  /** Ten megabytes in one list, in one slot. */
  const fill = "local v = string.rep('x', 100000) for i = 1, 100 do redis.call('RPUSH', KEYS[1], v) end return 'OK'"
  const slotOf = async (id: string): Promise<number> => {
    const found = it.status().shards.find(({ primary }) => primary === id)
    return found?.slots[0]?.[0] ?? 0
  }
  /** A key of the shard that has this slot: tried until the engine says so. */
  const keyOf = (slot: number): string => keys.get(slot) ?? 'a'
  const keys = new Map<number, string>()
  beforeAll(async () => {
    const { id } = it.primaryOf('shard-1')
    const [from, to] = it.status().shards.find(({ primary }) => primary === id)?.slots[0] ?? [0, 0]
    for (let tag = 0; !keys.has(from); tag++) {
      const slot = Number(await it.command(id, 'CLUSTER', 'KEYSLOT', `k${tag}`))
      if (slot >= from && slot <= to) keys.set(from, `k${tag}`)
    }
  })
})

describe('an edit that only a restart brings', () => {
  const edit = (fields: Readonly<Record<string, unknown>>) =>
    spec({ persistence: 'hybrid', config: { 'slowlog-max-len': 77, 'tcp-backlog': 300 }, ...fields })

  test('waits for the maintenance window, and the status says what waits', async () => {
    const before = pids()
    const day = (new Date().getUTCDay() + 3) % 7
    const window = `${['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'][day]} 02:00-04:00 UTC`
    expect((await it.controller.plan(edit({ maintenanceWindow: window }))).because).toMatch(
      /^2 fields would change, 1 live and 1 with a rolling restart, in the maintenance window, from \d{4}-.*T02:00/,
    )
    await it.controller.apply(edit({ maintenanceWindow: window }), null, 'test')
    await eventually(
      () =>
        expect(it.status().nodes.map(({ pendingRestart }) => pendingRestart)).toEqual(nodes.map(() => ['tcp-backlog'])),
      { withinMs: 10_000 },
    )
    expect(it.status().because).toMatch(/^restart pending: node-1 \(tcp-backlog\), node-2/)
    const [asked] = it.status().operations
    expect(asked).toMatchObject({ kind: 'restart', state: 'asked', requestedBy: 'test' })
    expect(asked?.notBefore).toBeGreaterThan(Date.now())
    expect(pids()).toEqual(before)
    await it.controller.cancelOperation('it', asked?.id ?? '', 'test')
  })

  test('comes with a rolling restart where there is no window, and nothing waits any more', async () => {
    const before = pids()
    const wish = edit({ config: { 'slowlog-max-len': 77, 'tcp-backlog': 400 } })
    await settled((await it.controller.apply(wish, null, 'test')).revision)
    await everywhere('tcp-backlog', '400')
    expect(pids().filter((pid) => before.includes(pid))).toEqual([])
    expect(it.status().nodes.flatMap(({ pendingRestart }) => pendingRestart)).toEqual([])
    expect(it.status().operations.at(-1)).toMatchObject({ kind: 'restart', state: 'done' })
  })
})
