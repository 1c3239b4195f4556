/** Engines that speak TLS and nothing else: a Cluster, and an engine that Sentinels watch, behind the proxy. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { connect } from 'node:tls'
import { createCache } from '@holdfast/cache'
import type { Certificates } from '@holdfast/core'
import { accessTo, urlFor } from '@holdfast/core'
import { Cluster, Redis } from 'ioredis'
import { createCluster, createSentinel } from 'redis'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { EngineLink } from '../../packages/control/src/engine/link.ts'
import { createAuthority, issuePair } from '../../packages/control/src/pki/authority.ts'
import { bootId } from '../../packages/control/src/proc.ts'
import { SqliteStore } from '../../packages/control/src/store/sqlite-store.ts'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { underWrites } from '../support/writing.ts'

let it: TestDeployment
const closing: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const authority = (): string => it.access.authority ?? ''
const sentinels = () => it.status().sentinels

/** What whoever listens there shows. */
async function shownAt({ host, port }: { host: string; port: number }): Promise<PeerCertificate> {
  const socket = connect({ host, port, ca: authority() })
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  const shown = socket.getPeerCertificate()
  socket.destroy()
  return shown
}

const shown = () => Promise.all([...it.status().nodes, ...sentinels()].map((one) => shownAt(one)))

/** As if the time of all certificates were nearly over. */
async function makeAllDue(): Promise<void> {
  const store = new SqliteStore({ home: it.place.home, bootId: bootId() })
  try {
    await eventually(async () => {
      const document = store.load(it.name)
      if (document?.certificates === undefined) throw new Error('no certificates')
      const of = Object.entries(document.certificates.of).map(([id, one]) => [id, { ...one, renewAt: 0 }] as const)
      const certificates: Certificates = { ...document.certificates, of: Object.fromEntries(of) }
      await store.save({ ...document, certificates })
      return true
    })
  } finally {
    store.close()
  }
}

describe('a Cluster', () => {
  beforeAll(async () => {
    it = await TestDeployment.up({ security: { tls: 'on' } })
  })
  afterAll(() => it?.close())

  test('answers nobody in clear, on no port', async () => {
    const { host: address, port } = it.node('node-1')
    for (const one of [port, port + 10_000]) {
      const link = new EngineLink({ address, port: one, username: 'app', password: it.password, name: '' })
      closing.push(() => link.end())
      await expect(link.command(['PING'], 2000)).rejects.toMatchObject({ code: 'UNREACHABLE_ENGINE' })
    }
  })

  test('is believed by nobody who believes another authority, and believes none of its certificates', async () => {
    const other = await createAuthority('other', Date.now())
    const { host, port } = it.node('node-1')
    const stranger = new Redis({ host, port, lazyConnect: true, retryStrategy: null, tls: { ca: other.certificate } })
    stranger.on('error', () => {})
    closing.push(() => stranger.disconnect())
    await expect(stranger.connect()).rejects.toThrow()

    const identity = { role: 'engine', name: 'it.node-1' } as const
    const pair = await issuePair(other, { identity, addresses: ['127.0.0.1'], now: Date.now() })
    const socket = connect({ host, port, ca: authority(), cert: pair.certificate, key: pair.key })
    closing.push(() => socket.destroy())
    await expect(answerTo(socket, 'PING\r\n')).rejects.toThrow(/unknown ca|alert/i)
  })

  test('takes ioredis, node-redis and the cache client as they are, with its authority', async () => {
    const { nodes, user: username, password } = accessTo(it.status(), it.access)
    const tls = { ca: authority() }
    const ioredis = new Cluster(
      nodes.map(({ address: host, port }) => ({ host, port })),
      { redisOptions: { username, password, tls } },
    )
    closing.push(() => ioredis.disconnect())
    for (const key of ['a', 'b', 'c']) expect(await ioredis.set(key, key)).toBe('OK')

    const nodeRedis = createCluster({
      rootNodes: nodes.map(({ address, port }) => ({ url: `rediss://${address}:${port}` })),
      defaults: { username, password, socket: { tls: true, ...tls } },
    })
    nodeRedis.on('error', () => {})
    await nodeRedis.connect()
    closing.push(() => nodeRedis.destroy())
    for (const key of ['a', 'b', 'c']) expect(await nodeRedis.get(key)).toBe(key)

    const url = urlFor('holdfast', accessTo(it.status(), it.access), { showSecret: true })
    expect(url).toMatch(/^holdfast\+clusters:/)
    const cache = createCache({ url, tls, ttl: '1m' })
    closing.push(() => cache.close())
    for (const key of ['x', 'y', 'z']) expect(await cache.getOrSet(key, () => key)).toBe(key)
  })

  test('gives away no key: its files are for their owner alone', () => {
    const dir = join(it.place.home.node(it.name, 'node-1'), 'tls')
    expect(statSync(dir).mode & 0o077).toBe(0)
    const files = readdirSync(dir)
    expect(files).toHaveLength(2)
    for (const file of files) expect(statSync(join(dir, file)).mode & 0o077).toBe(0)
  })

  test('fails over, and loses no write of ours', async () => {
    const before = it.primaryOf('shard-1')
    const { found } = await underWrites(it, async () => {
      it.kill(before.id)
      await eventually(() => it.primaryOf('shard-1').id !== before.id, { what: 'another primary' })
    }, ['cache'])
    expect(found).toMatchObject({ lost: [], contradictions: [] })
    await it.ready()
  })

  test('takes new certificates while it runs: no operation fails, and no engine is started again', async () => {
    const [before, pids] = [await shown(), it.status().nodes.map(({ id }) => it.pidOf(id))]
    const { failures } = await underWrites(it, async () => {
      await makeAllDue()
      await eventually(
        async () => {
          const now = await shown()
          return now.every(({ fingerprint256 }, index) => fingerprint256 !== before[index]?.fingerprint256)
        },
        { withinMs: 10_000, what: 'all to show another certificate' },
      )
      // Who comes anew believes them as well.
      const { host, port } = it.node('node-1')
      const fresh = new Redis({ host, port, username: 'app', password: it.password, tls: { ca: authority() } })
      expect(await fresh.ping()).toBe('PONG')
      fresh.disconnect()
    }, ['ioredis', 'cache'])
    expect(failures('ioredis')).toEqual([])
    expect(failures('cache')).toEqual([])
    expect(it.status().nodes.map(({ id }) => it.pidOf(id))).toEqual(pids)
    expect(it.told('turn').some((because) => because.includes('a new certificate'))).toBe(true)
    await it.ready()
  })
})

describe('Sentinels, the engines that they watch, and the proxy', () => {
  beforeAll(async () => {
    it = await TestDeployment.up({ topology: 'sentinel', shards: 1, security: { tls: 'on' }, expose: { proxy: 'yes' } })
  })
  afterAll(() => it?.close())

  test('take ioredis, node-redis and the cache client, and the proxy leads on', async () => {
    const { user: username, password } = it.access
    const tls = { ca: authority() }
    const guards = sentinels().map(({ host, port }) => ({ host, port }))
    const ioredis = new Redis({
      sentinels: guards,
      name: it.name,
      sentinelUsername: username,
      sentinelPassword: password,
      enableTLSForSentinelMode: true,
      sentinelTLS: tls,
      username,
      password,
      tls,
    })
    closing.push(() => ioredis.disconnect())
    expect(await ioredis.set('a', 'a')).toBe('OK')

    const options = { username, password, socket: { tls: true as const, ...tls } }
    const nodeRedis = createSentinel({
      name: it.name,
      sentinelRootNodes: guards,
      sentinelClientOptions: options,
      nodeClientOptions: options,
    })
    nodeRedis.on('error', () => {})
    await nodeRedis.connect()
    closing.push(() => nodeRedis.destroy())
    expect(await nodeRedis.get('a')).toBe('a')

    const url = urlFor('holdfast', accessTo(it.status(), it.access), { showSecret: true })
    expect(url).toMatch(/^holdfast\+sentinels:/)
    const cache = createCache({ url, tls, ttl: '1m' })
    closing.push(() => cache.close())
    expect(await cache.getOrSet('x', () => 'x')).toBe('x')

    const proxy = it.status().proxy
    expect(proxy).toMatchObject({ primary: it.primaryOf('shard-1').id })
    const through = new Redis({ host: '127.0.0.1', port: proxy?.port ?? 0, username, password, tls })
    closing.push(() => through.disconnect())
    expect(await through.get('a')).toBe('a')
  })

  test('fail over, and are started anew with new certificates, one after the other', async () => {
    const before = it.primaryOf('shard-1')
    it.kill(before.id)
    await eventually(() => it.primaryOf('shard-1').id !== before.id, { withinMs: 15_000, what: 'another primary' })
    await it.ready()
    const old = await shown()
    const { failures } = await underWrites(it, async () => {
      await makeAllDue()
      await eventually(
        async () => {
          const now = await shown()
          return now.every(({ fingerprint256 }, index) => fingerprint256 !== old[index]?.fingerprint256)
        },
        { withinMs: 20_000, what: 'all to show another certificate' },
      )
    }, ['ioredis', 'cache'])
    expect(failures('ioredis')).toEqual([])
    expect(failures('cache')).toEqual([])
    await it.ready()
  })
})

/** What is answered; rejects where the connection ends instead. */
function answerTo(socket: TLSSocket, question: string): Promise<string> {
  socket.write(question)
  return new Promise((resolve, reject) => {
    socket.once('data', (bytes: Buffer) => resolve(bytes.toString()))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('alert: closed')))
  })
}
