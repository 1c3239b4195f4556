/** What was acknowledged reaches the table, whoever dies: real engines, a real PostgreSQL, real processes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../../packages/cache/src/clock.ts'
import { jsonCodec } from '../../../packages/cache/src/codecs.ts'
import type { Command, Engine } from '../../../packages/cache/src/engine/engine.ts'
import { openEngine, type Target } from '../../../packages/cache/src/engine/open-engine.ts'
import { Router } from '../../../packages/cache/src/engine/router.ts'
import type { Address, Layout, Topology } from '../../../packages/cache/src/engine/topology.ts'
import type { CacheError } from '../../../packages/cache/src/errors.ts'
import { memoryEngine } from '../../../packages/cache/src/testing/index.ts'
import { acceptance, acceptKeys, acceptScript } from '../../../packages/cache/src/write-behind/accept-script.ts'
import { claimKeys, claimOf, claimScript, meetScript } from '../../../packages/cache/src/write-behind/claim-script.ts'
import type { WriteBehindEvents } from '../../../packages/cache/src/write-behind/events.ts'
import { Partitions } from '../../../packages/cache/src/write-behind/partitions.ts'
import type { WriteBehindOptions } from '../../../packages/cache/src/write-behind/settings.ts'
import { settleCommand, type Verdict } from '../../../packages/cache/src/write-behind/settle-script.ts'
import { openWriteBehind, type WriteBehind } from '../../../packages/cache/src/write-behind/write-behind.ts'
import type { EngineNode, StartedEngine } from '../../support/cache-engines.ts'
import { startCluster, startReplicated, startStandalone } from '../../support/cache-engines.ts'
import { eventually } from '../../support/eventually.ts'
import { diesWithUs, killLater } from '../../support/living.ts'
import { type Postgres, startPostgres } from '../../support/postgres.ts'
import { versionedTable } from '../../support/versioned-table.ts'
import type { ProcessTerms, Said } from '../../support/write-behind-process.ts'

let postgres: Postgres
/** A primary and one replica for all tests that harm neither; each test has a table, and the engine is emptied. */
let engines: StartedEngine
const closing: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  const both = await Promise.allSettled([startPostgres(), startReplicated({ settings: { appendonly: 'yes' } })])
  if (both[0].status === 'fulfilled') postgres = both[0].value
  if (both[1].status === 'fulfilled') engines = both[1].value
  // Both are known by then, so that whichever did start is closed when the other did not.
  for (const one of both) if (one.status === 'rejected') throw one.reason
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await primaryOf(engines).command('FLUSHALL')
})
afterAll(async () => {
  await engines?.close()
  await postgres?.close()
})

function primaryOf({ nodes }: StartedEngine): EngineNode {
  const [primary] = nodes
  if (primary === undefined) throw new Error('no primary')
  return primary
}

let tables = 0

/** A table that remembers every version that a row has had. */
async function aTable(): Promise<string> {
  const table = `behind_${++tables}`
  await versionedTable(postgres.pool, table)
  await postgres.pool.query(`
    CREATE TABLE ${table}_history (id bigserial, key text, version bigint);
    CREATE FUNCTION ${table}_remember() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO ${table}_history (key, version) VALUES (new.key, new.version); RETURN new; END $$;
    CREATE TRIGGER remember AFTER INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION ${table}_remember();`)
  return table
}

async function rowsOf(table: string): Promise<Map<string, { readonly value: unknown; readonly version: number }>> {
  const { rows } = await postgres.pool.query<{ key: string; value: unknown; version: string }>(`SELECT * FROM ${table}`)
  return new Map(rows.map(({ key, value, version }) => [key, { value, version: Number(version) }]))
}

/** The versions of each key in the order in which the table had them: each must be above the one before. */
async function expectMonotone(table: string): Promise<void> {
  const { rows } = await postgres.pool.query<{ key: string; version: string }>(
    `SELECT * FROM ${table}_history ORDER BY id`,
  )
  const latest = new Map<string, number>()
  for (const { key, version } of rows) {
    expect(Number(version)).toBeGreaterThan(latest.get(key) ?? 0)
    latest.set(key, Number(version))
  }
}

interface Opened {
  readonly behind: WriteBehind<unknown>
  readonly engine: Engine
  readonly told: { readonly [E in 'parked' | 'retry' | 'lost']: WriteBehindEvents[E][] }
}

/** A write-behind in this process, over the shared engine or another. */
async function open(table: string, options: WriteBehindOptions = {}, over?: Target | Engine): Promise<Opened> {
  const target: Target = { topology: 'standalone', addresses: [primaryOf(engines).address], track: [] }
  const where = over ?? target
  const engine = 'send' in where ? where : openEngine(where, { clock: systemClock })
  const told: Opened['told'] = { parked: [], retry: [], lost: [] }
  const behind = openWriteBehind<unknown>({
    engine,
    store: await versionedTable(postgres.pool, table),
    prefix: 'shop:w:',
    codec: jsonCodec,
    clock: systemClock,
    options,
    events: {
      parked: (event) => told.parked.push(event),
      retry: (event) => told.retry.push(event),
      lost: (event) => told.lost.push(event),
    },
  })
  closing.push(async () => {
    await behind.close({ withinMs: 100 })
    await engine.close()
  })
  return { behind, engine, told }
}

/** The same in a process of its own. */
function spawned(terms: Omit<ProcessTerms, 'address' | 'postgres'>): { child: ChildProcess; said: Said[] } {
  const path = (name: string): string => fileURLToPath(new URL(`../../support/${name}`, import.meta.url))
  const [program, ...before] = diesWithUs(process.execPath)
  const all: ProcessTerms = { ...terms, address: primaryOf(engines).address, postgres: postgres.url }
  const child = spawn(program, [...before, path('run-typescript.mjs'), path('write-behind-process.ts')], {
    env: { ...process.env, WRITE_BEHIND: JSON.stringify(all) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  killLater(child)
  const said: Said[] = []
  child.on('message', (message) => said.push(message as Said))
  closing.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  })
  return { child, said }
}

const refusal = (promise: Promise<unknown>): Promise<CacheError> =>
  promise.then(
    () => Promise.reject(new Error('it was not refused')),
    (error: unknown) => error as CacheError,
  )

test('a producer is killed right after its acknowledgements, and nothing of them is lost', async () => {
  const table = await aTable()
  const { child, said } = spawned({ table, options: { consume: false }, produce: 50 })
  await eventually(() => said.filter(({ kind }) => kind === 'acknowledged').length > 300, { what: '300 writes' })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const { behind } = await open(table)
  await behind.flush({ withinMs: 10_000 })
  const rows = await rowsOf(table)
  for (const one of said) {
    if (one.kind !== 'acknowledged') continue
    const row = rows.get(one.key)
    expect(row?.version).toBeGreaterThanOrEqual(one.version)
    expect(row?.value).toBeGreaterThanOrEqual(one.value)
  }
  await expectMonotone(table)
})

test('a consumer is killed between commit and acknowledgement, and the replay changes nothing', async () => {
  const table = await aTable()
  const { behind } = await open(table, { consume: false })
  await Promise.all(Array.from({ length: 50 }, (_, index) => behind.set(`k${index}`, index)))
  const { child } = spawned({ table, options: { lease: '1s' }, hurt: 'die after commit' })
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
  expect(signal).toBe('SIGKILL')
  const before = await rowsOf(table)
  expect(before.size).toBe(50)
  expect(await behind.stats()).toMatchObject({ queued: 50 })
  await open(table, { lease: '1s' })
  await behind.flush({ withinMs: 10_000 })
  expect(await rowsOf(table)).toEqual(before)
  const { rows } = await postgres.pool.query(`SELECT * FROM ${table}_history`)
  expect(rows).toHaveLength(50)
})

test('a consumer that is frozen inside a save wakes up as a zombie and does no harm', async () => {
  const table = await aTable()
  const { behind } = await open(table, { consume: false })
  await behind.set('k', 'old')
  const { child, said } = spawned({ table, options: { lease: '1s' }, hurt: 'freeze before commit' })
  await eventually(() => said.some(({ kind }) => kind === 'freezing'))
  const { version } = await behind.set('k', 'new')
  await open(table, { lease: '1s' })
  await behind.flush({ withinMs: 10_000 })
  expect((await rowsOf(table)).get('k')).toEqual({ value: 'new', version })
  child.kill('SIGCONT')
  const woken = await eventually(() => said.find(({ kind }) => kind === 'woken save') ?? false)
  expect(woken).toMatchObject({ stored: [version] })
  await eventually(() => said.some(({ kind }) => kind === 'lost ownership'))
  expect((await rowsOf(table)).get('k')).toEqual({ value: 'new', version })
  await expectMonotone(table)
})

/** Where the keys are, as a person says it who promotes a replica by hand. */
class ToldTopology implements Topology {
  layout: Layout
  readonly #listeners: ((layout: Layout, because: string) => void)[] = []

  constructor(primary: Address) {
    this.layout = layoutOf(primary, 0)
  }

  tell(primary: Address): void {
    this.layout = layoutOf(primary, this.layout.epoch + 1)
    for (const listener of this.#listeners) listener(this.layout, 'told by hand')
  }

  suspect(): void {}

  consult(): void {}

  onChange(listener: (layout: Layout, because: string) => void): void {
    this.#listeners.push(listener)
  }

  close(): void {}
}

const layoutOf = (primary: Address, epoch: number): Layout => ({
  shards: [{ primary, replicas: [], slots: [[0, 16_383]] }],
  epoch,
})

test('the primary is killed under load and a replica promoted by hand: all that was acknowledged is there', async () => {
  const own = await startReplicated({ replicas: 2, settings: { appendonly: 'yes' } })
  closing.push(() => own.close())
  const [primary, ...replicas] = own.nodes as [EngineNode, ...EngineNode[]]
  const topology = new ToldTopology(primary.address)
  const node = { track: [], name: 'write-behind', withinMs: 300, maxPending: 10_000, zones: false }
  const router = new Router(
    {
      clustered: false,
      checkRole: false,
      node: { ...node, tls: undefined, user: undefined, password: undefined, db: undefined },
    },
    { clock: systemClock, topology: () => topology },
  )
  const table = await aTable()
  const { behind, told } = await open(table, { deadline: '3s', every: '20ms' }, router)
  const acknowledged = new Map<string, { value: number; version: number }>()
  const failures = new Set<string>()
  let value = 0
  const state = { writing: true, acknowledged: 0 }
  const write = async (): Promise<void> => {
    while (state.writing) {
      const mine = ++value
      const key = `k${mine % 40}`
      try {
        const { version } = await behind.set(key, mine)
        state.acknowledged++
        if (version > (acknowledged.get(key)?.version ?? 0)) acknowledged.set(key, { value: mine, version })
      } catch (error) {
        failures.add((error as CacheError).code)
      }
    }
  }
  const writers = Array.from({ length: 10 }, write)
  await eventually(() => state.acknowledged > 500, { what: '500 writes' })
  await primary.kill()
  const offsetOf = async (replica: EngineNode): Promise<number> =>
    Number(/slave_repl_offset:(\d+)/.exec(String(await replica.command('INFO', 'replication')))?.[1])
  const offsets = await Promise.all(replicas.map(offsetOf))
  const [candidate, other] = (offsets[0] ?? 0) >= (offsets[1] ?? 0) ? replicas : replicas.toReversed()
  if (candidate === undefined || other === undefined) throw new Error('no replicas')
  await candidate.command('REPLICAOF', 'NO', 'ONE')
  await other.command('REPLICAOF', candidate.address.host, `${candidate.address.port}`)
  topology.tell(candidate.address)
  const before = state.acknowledged
  await eventually(() => state.acknowledged > before + 500, { what: '500 writes on the promoted one' })
  state.writing = false
  await Promise.all(writers)
  await behind.flush({ withinMs: 10_000 })
  const rows = await rowsOf(table)
  for (const [key, { value: least, version }] of acknowledged) {
    const row = rows.get(key)
    expect(row?.version, key).toBeGreaterThanOrEqual(version)
    if (row?.version === version) expect(row.value).toBe(least)
  }
  await expectMonotone(table)
  expect(told.lost).toEqual([])
  // What was under way may have been done, and nobody said that it was or was not.
  expect([...failures].filter((code) => code !== 'INDETERMINATE' && code !== 'UNAVAILABLE')).toEqual([])
})

test('the database is down for a while, and a value is poisoned', async () => {
  const table = await aTable()
  const { behind, told } = await open(table, { tries: 3, retryUpTo: '200ms', every: '20ms' })
  await postgres.pool.query(`ALTER TABLE ${table} ADD CONSTRAINT no_poison CHECK (value <> '"poison"'::jsonb)`)
  await postgres.kill()
  await Promise.all(Array.from({ length: 200 }, (_, index) => behind.set(`k${index}`, index)))
  await behind.set('k7', 'poison')
  await behind.delete('k8')
  await eventually(() => told.retry.length > 4, { what: 'some retries' })
  expect(await behind.stats()).toMatchObject({ queued: 200, parked: 0 })
  await postgres.restart()
  await eventually(() => told.parked.length > 0, { what: 'the poisoned key is put aside' })
  expect(await behind.flush({ withinMs: 10_000 })).toEqual({ parked: 1 })
  const rows = await rowsOf(table)
  expect(rows.size).toBe(199)
  expect(rows.get('k8')?.value).toBeNull()
  const letters = await behind.deadLetters.list()
  expect(letters).toMatchObject([{ key: 'k7', tries: 3 }])
  expect(letters[0]?.error).toContain('no_poison')
  await postgres.pool.query(`ALTER TABLE ${table} DROP CONSTRAINT no_poison`)
  expect(await behind.deadLetters.replay(letters.map(({ id }) => id))).toBe(1)
  expect(await behind.flush({ withinMs: 10_000 })).toEqual({ parked: 0 })
  expect((await rowsOf(table)).get('k7')?.value).toBe('poison')
})

test('a frozen replica makes a write indeterminate, also when it is asked again over another connection', async () => {
  const [table, options] = [await aTable(), { durable: { copies: 1, within: '200ms' }, deadline: '1s' } as const]
  const { behind } = await open(table, options)
  await behind.set('k', 1)
  const other = await open(table, options)
  await other.behind.ready
  const [, replica] = engines.nodes
  replica?.stop()
  try {
    const first = await refusal(behind.set('k', 2, { operation: 'two' }))
    expect(first).toMatchObject({ code: 'INDETERMINATE', facts: { operation: 'two', wanted: 1, got: 0 } })
    // It is known by then, and comes over a connection that has not written it.
    expect(await refusal(other.behind.set('k', 2, { operation: 'two' }))).toMatchObject({ code: 'INDETERMINATE' })
  } finally {
    replica?.continue()
  }
  await behind.set('k', 2, { operation: 'two' })
  expect(await behind.get('k')).toBe(2)
})

test('a full engine takes no more writes, and is drained all the same', async () => {
  const table = await aTable()
  const { behind } = await open(table, { deadline: '300ms', every: '50ms' })
  await postgres.pool.query(`ALTER TABLE ${table} RENAME TO ${table}_away`)
  await Promise.all(Array.from({ length: 50 }, (_, index) => behind.set(`k${index}`, index)))
  const primary = primaryOf(engines)
  await primary.command('CONFIG', 'SET', 'maxmemory', '1')
  try {
    expect(await refusal(behind.set('one more', 1))).toMatchObject({ code: 'UNAVAILABLE' })
    await postgres.pool.query(`ALTER TABLE ${table}_away RENAME TO ${table}`)
    await behind.flush({ withinMs: 10_000 })
    expect((await rowsOf(table)).size).toBe(50)
  } finally {
    await primary.command('CONFIG', 'SET', 'maxmemory', '0')
  }
})

test('refuses to start on an engine that would evict the queue, and does lose it there if told to start', async () => {
  const own = await startStandalone({ settings: { 'maxmemory-policy': 'allkeys-lru', maxmemory: '8mb' } })
  closing.push(() => own.close())
  const over: Target = { topology: 'standalone', addresses: own.addresses, track: [] }
  const table = await aTable()
  const refused = await open(table, {}, over)
  const error = await refusal(refused.behind.set('k', 1))
  expect(error.code).toBe('INVALID')
  expect(error.message).toContain('maxmemory-policy allkeys-lru')
  expect(error.message).toContain('set appendonly yes')
  expect(error.message).toContain('0 connected replicas')

  await postgres.pool.query(`ALTER TABLE ${table} RENAME TO ${table}_away`)
  const { behind, told } = await open(table, { lossy: true, partitions: 8 }, over)
  const value = 'x'.repeat(10_000)
  await Promise.all(Array.from({ length: 2000 }, (_, index) => behind.set(`k${index}`, value)))
  await eventually(() => told.lost.length > 0, { what: 'the loss is told' })
  await postgres.pool.query(`DROP TABLE IF EXISTS ${table}`)
})

/** Versions by the order in which they came, and moments as such: the rest is the same on every engine. */
function plain(): (reply: unknown) => unknown {
  const versions = new Map<string, string>()
  const word = (text: string): string => {
    const number = /^[0-9]{13,16}$/.test(text) ? Number(text) : 0
    if (number > 1e14) versions.set(text, versions.get(text) ?? `version ${versions.size}`)
    return versions.get(text) ?? (number > 1e12 || /^(5\d{4}|60000)$/.test(text) ? 'a moment' : text)
  }
  const walk = (reply: unknown): unknown => (Array.isArray(reply) ? reply.flat().map(walk) : word(String(reply)))
  return walk
}

/** Everything that the scripts can be asked, and what they leave behind. */
async function playScripts(engine: Engine): Promise<unknown[]> {
  const partition = new Partitions('contract:', 1).of('')
  const { state, queue, later, parked } = partition
  const walk = plain()
  const told: unknown[] = []
  const ask = async (...commands: Command[]): Promise<unknown> => {
    const deadlineAt = systemClock.monotonic() + 2000
    const { replies } = await engine.send({ commands, key: state, deadlineAt, kind: 'write', patient: true })
    told.push(replies.map(walk))
    const [entry, ...hashes] = ['a', 'b', 'c', 'd'].map((key) => partition.entry(key))
    const fields = ['version', 'value', 'deleted', 'operation', 'place', 'tries', 'error', 'codec']
    const left = await engine.send({
      commands: [
        ['HMGET', state, 'life', 'last', 'unsaved', 'owner', 'token', 'until'],
        ...[entry ?? '', ...hashes].map((name) => ['HMGET', name, ...fields]),
        ...[queue, later, parked].map((name) => ['ZRANGE', name, '0', '-1', 'WITHSCORES']),
        ['ZCARD', partition.operations],
      ],
      key: state,
      deadlineAt,
      kind: 'read',
    })
    told.push(left.replies.map(walk))
    return replies[0]
  }
  const accept = async (key: string, value: string | null, operation: string): Promise<number> => {
    const args = [key, operation, value === null ? '1' : '0', value ?? '', '1', '3', 'a life', '60000']
    return acceptance(await ask({ script: acceptScript, keys: acceptKeys(partition, key), args })).version
  }
  const settle = (keepMs: number, ...verdicts: Verdict[]): Promise<unknown> =>
    ask(settleCommand(partition, verdicts, keepMs))
  const claim = (...args: string[]): Promise<unknown> =>
    ask({ script: claimScript, keys: claimKeys(partition), args: [...args, '60000', 'another life'] })

  const token = claimOf(await claim('acquire', 'me', '')).token
  await claim('acquire', 'you', '')
  await claim('renew', 'me', token)
  await claim('renew', 'you', token)
  const first = await accept('a', 'one', 'op-1')
  await accept('a', 'one', 'op-1')
  const second = await accept('a', 'two', 'op-2')
  await accept('a', 'one', 'op-1')
  await settle(0, { key: 'a', version: first, kind: 'stored' })
  await settle(5000, { key: 'a', version: second, kind: 'stored' })
  await settle(5000, { key: 'a', version: second, kind: 'stored' })
  const third = await accept('a', null, 'op-3')
  await settle(0, { key: 'a', version: third, kind: 'failed', againInMs: 100 })
  await settle(0, { key: 'a', version: third, kind: 'parked', error: 'no' })
  await settle(0, { key: 'a', version: third, kind: 'failed', againInMs: 100 })
  await settle(0, { key: 'a', version: third, kind: 'replay' })
  await settle(0, { key: 'a', version: third, kind: 'discard' })
  await settle(0, { key: 'a', version: third, kind: 'parked', error: 'no' })
  await accept('a', 'four', 'op-4')
  const b = await accept('b', 'one', 'op-1')
  await settle(0, { key: 'b', version: b, kind: 'behind', storeVersion: b + 1000 })
  await accept('c', 'one', 'op-1')
  await accept('d', 'one', 'full')
  const c = await accept('c', 'two', 'op-2')
  await settle(0, { key: 'c', version: c, kind: 'parked', error: 'no' })
  await settle(0, { key: 'c', version: c, kind: 'discard' })
  await ask(['DEL', partition.entry('b')])
  await settle(0, { key: 'b', version: 0, kind: 'vanished' }, { key: 'a', version: 0, kind: 'vanished' })
  await settle(0, { key: 'b', version: 0, kind: 'vanished' })
  await ask(['DEL', queue])
  await claim('renew', 'me', token)
  await claim('release', 'you', token)
  await claim('release', 'me', token)
  await claim('acquire', 'you', '')
  const meet = (id: string, verb: string) => ({
    script: meetScript,
    keys: [state + ':members'],
    args: [id, '1000', verb],
  })
  await ask(meet('me', 'stay'), meet('you', 'stay'), meet('me', 'leave'))
  return told
}

test('the scripts do in the engine what their other form does in memory', async () => {
  const { engine } = await open(await aTable())
  const memory = memoryEngine()
  const [real, remembered] = [await playScripts(engine), await playScripts(memory)]
  await memory.close()
  expect(real).toEqual(remembered)
  expect(real.length).toBeGreaterThan(50)
})

test('works on a Cluster, where each partition is on the node of its slot', async () => {
  const cluster = await startCluster({ settings: { appendonly: 'yes' } })
  closing.push(() => cluster.close())
  const table = await aTable()
  const { behind } = await open(table, {}, { topology: 'cluster', addresses: cluster.addresses, track: [] })
  await Promise.all(Array.from({ length: 1000 }, (_, index) => behind.set(`k${index}`, index)))
  await behind.delete('k1')
  expect(await behind.get('k2')).toBe(2)
  await behind.flush({ withinMs: 10_000 })
  const rows = await rowsOf(table)
  expect(rows.size).toBe(1000)
  expect(rows.get('k1')?.value).toBeNull()
  expect(await behind.stats()).toMatchObject({ queued: 0, parked: 0, owned: 64 })
})
