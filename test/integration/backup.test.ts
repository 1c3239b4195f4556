import { cpSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Operation, Status } from '@holdfast/core'
import { engineUsers, HoldfastError, isUnfinished, Manifest } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EngineLink } from '../../packages/control/src/engine/link.ts'
import { tagOf } from '../../packages/control/src/ledger/probe.ts'
import { bootId } from '../../packages/control/src/proc.ts'
import { SqliteStore } from '../../packages/control/src/store/sqlite-store.ts'
import { ControllerProcess } from '../support/controller-process.ts'
import { secretsOf, TestHome } from '../support/deployment.ts'
import { freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'

const nodes = Array.from({ length: 6 }, (_, index) => ({ id: `node-${index + 1}` }))

/* One deployment with something of every kind in it, and another one that is restored from its backups. */
describe('a backup on real engines', () => {
  const place = new TestHome()
  const links = new Set<EngineLink>()
  let running: ControllerProcess
  /** A backup of `it`, taken while somebody wrote. */
  let good = ''

  beforeAll(async () => {
    running = await ControllerProcess.start(place.home)
    await bringUp('it', 1)
    for (const [link, tag] of await primariesOf('it')) await fill(link, tag)
  })

  afterAll(async () => {
    for (const link of links) link.close()
    await running.kill()
    place.remove()
  })

  async function bringUp(name: string, replicasPerShard: number): Promise<void> {
    const expose = { basePort: await freePorts(3 * (1 + replicasPerShard)) }
    await running.api.apply(name, { name, replicasPerShard, memory: { maxPerNode: '64mb' }, expose }, null)
    await ready(name)
  }

  const ready = (name: string): Promise<Status> =>
    eventually(
      async () => {
        const status = await running.api.status(name)
        if (status.ready !== 'yes' || status.settledRevision === 0) throw new Error(status.because)
        return status
      },
      { withinMs: 30_000, what: `${name} ready` },
    )

  /** As if it had been ready for the first time a day ago. */
  async function readyForADay(name: string): Promise<void> {
    const store = new SqliteStore({ home: place.home, bootId: bootId() })
    await eventually(async () => {
      const document = store.load(name)
      // The controller saves, too: whoever comes second tries again.
      if (document !== undefined) {
        await store.save({ ...document, firstReadyAt: (document.firstReadyAt ?? 0) - 86_400_000 })
      }
      return document
    })
    store.close()
  }

  /** A connection to each primary as the user who may do everything, and a tag whose keys belong there. */
  async function primariesOf(name: string): Promise<[EngineLink, string][]> {
    const status = await ready(name)
    const password = secretsOf(place.home, name)[engineUsers.admin] ?? ''
    return status.shards.map(({ primary, slots }) => {
      const node = status.nodes.find(({ id }) => id === primary)
      const target = { address: node?.host ?? '', port: node?.port ?? 0, password, username: engineUsers.admin }
      const link = new EngineLink({ ...target, name: 'somebody' })
      links.add(link)
      return [link, tagOf(slots) ?? '']
    })
  }

  async function fill(link: EngineLink, tag: string): Promise<void> {
    await link.pipeline([
      ['SET', `string:${tag}`, 'a\r\nb'],
      ['SET', `expiring:${tag}`, 'x', 'EX', '5000'],
      ['RPUSH', `list:${tag}`, 'a', 'b', 'a'],
      ['HSET', `hash:${tag}`, 'f', '1', 'g', '2'],
      ['SADD', `set:${tag}`, 'x', 'y', 'z'],
      ['ZADD', `zset:${tag}`, '1.5', 'm', '-2', 'n'],
      ['XADD', `stream:${tag}`, '5-1', 'f', 'v'],
      ['XGROUP', 'CREATE', `stream:${tag}`, 'readers', '0'],
      ['XREADGROUP', 'GROUP', 'readers', 'ada', 'COUNT', '1', 'STREAMS', `stream:${tag}`, '>'],
      ['SETBIT', `bits:${tag}`, '1000', '1'],
      ['PFADD', `uniques:${tag}`, 'a', 'b', 'c'],
      ['GEOADD', `places:${tag}`, '13.36', '38.11', 'Palermo'],
      ['FUNCTION', 'LOAD', "#!lua name=ours\nredis.register_function('two', function() return 2 end)"],
      ['EXPIREAT', `hash:${tag}`, '4000000000'],
      ['EVAL', "for i = 1, 2000 do redis.call('SET', ARGV[1] .. i, string.rep(i, 50)) end", '0', `many:${tag}:`],
    ])
  }

  const readers: Readonly<Record<string, (key: string) => string[]>> = {
    string: (key) => ['GET', key],
    list: (key) => ['LRANGE', key, '0', '-1'],
    hash: (key) => ['HGETALL', key],
    set: (key) => ['SORT', key, 'ALPHA'],
    zset: (key) => ['ZRANGE', key, '0', '-1', 'WITHSCORES'],
    stream: (key) => ['XRANGE', key, '-', '+'],
  }

  /** Every key of a deployment: its type, when it ends, and what it holds. What was written meanwhile is left out. */
  async function contentsOf(name: string): Promise<Record<string, unknown>> {
    const contents: Record<string, unknown> = {}
    for (const [link] of await primariesOf(name)) {
      const keys = ((await link.command(['KEYS', '*'])) as string[]).filter((key) => !key.startsWith('written:')).sort()
      const types = (await link.pipeline(keys.map((key) => ['TYPE', key]))) as string[]
      const ends = await link.pipeline(keys.map((key) => ['EXPIRETIME', key]))
      const values = await link.pipeline(keys.map((key, at) => readers[types[at] ?? '']?.(key) ?? ['ECHO', '?']))
      for (const [at, key] of keys.entries()) contents[key] = [types[at], ends[at], values[at]]
      for (const key of keys.filter((_, at) => types[at] === 'stream')) {
        // Name, consumers, pending and the last that was delivered; what follows, a replica only estimates.
        const groups = (await link.command(['XINFO', 'GROUPS', key])) as unknown[][]
        contents[`groups of ${key}`] = groups.map((group) => group.slice(0, 8))
        contents[`read and not acknowledged of ${key}`] = await link.command(['XPENDING', key, 'readers'])
        contents[`functions beside ${key}`] = await link.command(['FUNCTION', 'LIST', 'WITHCODE'])
      }
    }
    return contents
  }

  const operation = async (name: string, id: string): Promise<Operation | undefined> =>
    (await running.api.status(name)).operations.find((one) => one.id === id)

  const over = (name: string, id: string): Promise<Operation> =>
    eventually(
      async () => {
        const seen = await operation(name, id)
        if (seen === undefined || isUnfinished(seen)) throw new Error(seen?.because ?? 'not asked for')
        return seen
      },
      { withinMs: 40_000, what: id },
    )

  const told = (name: string, sentence: string): Promise<boolean> =>
    eventually(async () => (await running.api.events(name, 300)).some(({ because }) => because.includes(sentence)))

  async function killController(): Promise<void> {
    await running.kill()
    running = await ControllerProcess.start(place.home)
  }

  const codeOf = async (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'done',
      (error: unknown) => (error instanceof HoldfastError ? error.code : String(error)),
    )

  const pids = (name: string): (number | undefined)[] => nodes.map(({ id }) => place.pidOf(name, id))

  /** A copy of the good one, to be damaged: the good one shares its bytes with the engines' own files. */
  function aCopy(name: string): string {
    const path = join(place.path, name)
    cpSync(good, path, { recursive: true })
    return path
  }

  function withManifest(name: string, change: (manifest: Manifest) => unknown): string {
    const path = aCopy(name)
    const file = join(path, 'manifest.json')
    writeFileSync(file, JSON.stringify(change(Manifest.parse(JSON.parse(readFileSync(file, 'utf8'))))))
    return path
  }

  test('is taken from replicas while somebody writes, loaded for trial, and listed', async () => {
    const [[link, tag] = [undefined, '']] = await primariesOf('it')
    let writes = 0
    const writing = setInterval(() => void link?.command(['SET', `written:${tag}:${writes++}`, 'x']).catch(() => {}), 5)
    try {
      await running.api.askBackup('it', { id: 'under-writes', to: null })
      const { state, because } = await over('it', 'under-writes')
      expect(because).toContain('verified: shard-1:')
      expect(state).toBe('done')
    } finally {
      clearInterval(writing)
    }
    expect(writes).toBeGreaterThan(10)
    const { directory, backups } = await running.api.backups('it')
    expect(backups).toMatchObject([{ id: 'under-writes', state: 'verified', engine: 'redis 7.0.15' }])
    good = join(directory, 'under-writes')
    const { manifest } = await running.api.readBackup(good)
    expect(manifest.files.map(({ takenFrom }) => takenFrom.role)).toEqual(['replica', 'replica', 'replica'])
    expect(manifest.files.every(({ ttls, replid }) => ttls === 2 && replid?.length === 40)).toBe(true)
    expect(JSON.stringify(manifest)).not.toContain(secretsOf(place.home, 'it')[engineUsers.app])
  })

  test('goes on where its controller was killed with -9, and leaves nothing half done', async () => {
    await running.api.askBackup('it', { id: 'killed', to: null })
    await told('it', 'backup killed: shard-2 from')
    await killController()
    expect(await over('it', 'killed')).toMatchObject({ state: 'done' })
    const { directory, backups } = await running.api.backups('it')
    expect(backups.map(({ id, state }) => `${id} ${state}`)).toEqual(['killed verified', 'under-writes verified'])
    expect(readdirSync(directory).sort()).toEqual(['killed', 'under-writes'])
    expect(readdirSync(join(directory, 'killed')).sort()).toEqual([
      'manifest.json',
      ...['1', '2', '3'].map((number) => `shard-${number}.rdb`),
      'verified.json',
    ])
  })

  test('is restored into another deployment though its controller is killed in the middle of it', async () => {
    await bringUp('copy', 0)
    await running.api.askRestore('copy', { id: 'first', from: good, replace: null })
    await told('copy', 'putting the data aside')
    await killController()
    expect(await over('copy', 'first')).toMatchObject({ state: 'done' })
    const restored = await contentsOf('copy')
    expect(Object.keys(restored).length).toBe(3 * (2010 + 3))
    expect(restored).toEqual(await contentsOf('it'))
    await eventually(() => !readdirSync(place.home.node('copy', 'node-1')).some((name) => name.startsWith('data.')))
  })

  test('replaces data only where the name was typed', async () => {
    const before = pids('it')
    const wish = { id: 'unsaid', from: good, replace: null }
    expect(await codeOf(running.api.askRestore('it', wish))).toBe('REFUSED_NOT_CONFIRMED')
    expect(await codeOf(running.api.askRestore('it', { ...wish, replace: 'copy' }))).toBe('REFUSED_NOT_CONFIRMED')
    expect(pids('it')).toEqual(before)
    const [[link, tag] = [undefined, '']] = await primariesOf('it')
    await link?.pipeline([
      ['SET', `string:${tag}`, 'changed since'],
      ['SET', `later:${tag}`, 'x'],
    ])
    await running.api.askRestore('it', { id: 'said', from: good, replace: 'it' })
    expect(await over('it', 'said')).toMatchObject({ state: 'done' })
    expect(await contentsOf('it')).toEqual(await contentsOf('copy'))
    const { copiesInSync } = await ready('it')
    expect(copiesInSync).toBe(2)
    // What was fetched is the beginning of each primary's log: none has to be written anew.
    const since = (await running.api.events('it', 300)).map(({ because }) => because)
    const fromThen = since.slice(since.findLastIndex((because) => because.includes('putting the data aside')))
    expect(fromThen.filter((because) => /beginning its append-only file/.test(because))).toEqual([])
  })

  test('that is cut short, foreign or too new is refused with its reason, and nothing is touched', async () => {
    const before = pids('it')
    const cut = aCopy('cut')
    truncateSync(join(cut, 'shard-2.rdb'), 100)
    const foreign = withManifest('foreign', (manifest) => ({ ...manifest, files: manifest.files.slice(0, 2) }))
    const files = (manifest: Manifest) =>
      manifest.files.map((file) => ({ ...file, rdb: { format: 'REDIS', version: 12 } }))
    const newer = withManifest('newer', (manifest) => ({ ...manifest, files: files(manifest) }))
    const unknown = withManifest('unknown', (manifest) => ({ ...manifest, manifestVersion: 9 }))
    const refusals = [cut, foreign, newer, unknown, join(place.path, 'nowhere')].map((from) =>
      codeOf(running.api.askRestore('it', { id: 'bad', from, replace: 'it' })),
    )
    expect(await Promise.all(refusals)).toEqual([
      'BACKUP_DAMAGED',
      'BACKUP_UNFIT',
      'BACKUP_UNFIT',
      'BACKUP_UNREADABLE',
      'BACKUP_UNREADABLE',
    ])
    expect(pids('it')).toEqual(before)
  })

  test('that was altered by one byte is found out before anything is touched', async () => {
    const before = pids('it')
    const altered = aCopy('altered')
    const file = join(altered, 'shard-3.rdb')
    const bytes = readFileSync(file)
    bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 1
    writeFileSync(file, bytes)
    await running.api.askRestore('it', { id: 'altered', from: altered, replace: 'it' })
    const { state, because } = await over('it', 'altered')
    expect(state).toBe('failed')
    expect(because).toContain('shard-3.rdb: its checksum is')
    expect(pids('it')).toEqual(before)
    await ready('it')
  })

  test('is taken by itself where the spec says so, and old ones go', async () => {
    const { spec, revision } = await running.api.spec('copy')
    const backup = { every: '24h', keep: 1, directory: join(place.path, 'shelf') }
    await running.api.apply('copy', { ...spec, backup }, revision)
    await readyForADay('copy')
    const scheduled = await eventually(
      async () => {
        const { operations } = await running.api.status('copy')
        const own = operations.find(({ kind, requestedBy }) => `${kind} by ${requestedBy}` === 'backup by schedule')
        if (own?.state !== 'done') throw new Error(own?.because ?? 'not yet')
        return own
      },
      { withinMs: 20_000, what: 'a backup that nobody asked for' },
    )
    const { backups: first } = await running.api.backups('copy')
    expect(first).toMatchObject([{ id: scheduled.id, state: 'verified' }])
    await running.api.askBackup('copy', { id: 'newer', to: null })
    expect(await over('copy', 'newer')).toMatchObject({ state: 'done' })
    const { backups } = await running.api.backups('copy')
    expect(backups.map(({ id }) => id)).toEqual(['newer'])
  })
})
