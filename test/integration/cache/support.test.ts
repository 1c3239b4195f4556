/** What the tests of the cache stand on does what it says. */
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { createClient } from 'redis'
import { afterEach, expect, test } from 'vitest'
import type { Address } from '../../../packages/cache/src/engine/topology.ts'
import type { EngineNode } from '../../support/cache-engines.ts'
import { startCluster, startReplicated, startSentinel, startStandalone } from '../../support/cache-engines.ts'
import { startCutProxy } from '../../support/cut-proxy.ts'
import { eventually } from '../../support/eventually.ts'
import { startPostgres } from '../../support/postgres.ts'

interface Closable {
  readonly close: () => Promise<void> | void
}

const opened: Closable[] = []
afterEach(async () => {
  for (const { close } of opened.splice(0).reverse()) await close()
})

async function open<T extends Closable>(starting: Promise<T>): Promise<T> {
  const started = await starting
  opened.push(started)
  return started
}

test('one engine is killed, frozen, thawed and started again on its port', async () => {
  const { node } = await open(
    startStandalone({ settings: { appendonly: 'yes', appendfsync: 'always', maxmemory: '20mb' } }),
  )
  expect(await node.command('CONFIG', 'GET', 'maxmemory')).toEqual(['maxmemory', '20971520'])
  await node.command('SET', 'kept', 'yes')
  node.stop()
  await expect(node.command('GET', 'kept')).rejects.toThrow('did not answer')
  node.continue()
  expect(await node.command('GET', 'kept')).toBe('yes')
  const before = node.pid
  await node.kill()
  await expect(node.command('PING')).rejects.toThrow('ECONNREFUSED')
  await node.restart()
  expect(node.pid).not.toBe(before)
  expect(await node.command('GET', 'kept')).toBe('yes')
})

test('an error reply is thrown in its own words', async () => {
  const { node } = await open(startStandalone())
  await expect(node.command('NONSENSE')).rejects.toThrow("unknown command 'NONSENSE'")
})

test('an engine asks for a password, for users of an ACL file, and speaks TLS', async () => {
  const users = ['user app on >secret ~shop:* &* +@all', 'user default off']
  const [behindPassword, withUsers, withTls] = await Promise.all([
    open(startStandalone({ password: 'secret' })),
    open(startStandalone({ users })),
    open(startStandalone({ tls: true })),
  ])
  const ask = async (url: string, key: string, ca?: string): Promise<unknown> => {
    const client = createClient({ url, socket: { reconnectStrategy: false, ...(ca && { tls: true as const, ca }) } })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return await client.set(key, '1')
    } catch (error) {
      return error instanceof Error ? error.message.split(' ')[0] : error
    } finally {
      client.destroy()
    }
  }
  const at = (place: { addresses: readonly Address[] }): string => `127.0.0.1:${place.addresses[0]?.port}`
  expect(await ask(`redis://${at(behindPassword)}`, 'k')).toBe('NOAUTH')
  expect(await ask(`redis://:secret@${at(behindPassword)}`, 'k')).toBe('OK')
  expect(await ask(`redis://${at(withUsers)}`, 'shop:k')).toBe('NOAUTH')
  expect(await ask(`redis://app:secret@${at(withUsers)}`, 'shop:k')).toBe('OK')
  expect(await ask(`redis://app:secret@${at(withUsers)}`, 'k')).toBe('NOPERM')
  expect(await ask(`rediss://${at(withTls)}`, 'k', withTls.ca)).toBe('OK')
})

test('nothing is left after close, and closing twice is fine', async () => {
  const { primary, nodes, close } = await startReplicated({ replicas: 1 })
  const [, dir] = (await primary.command('CONFIG', 'GET', 'dir')) as [string, string]
  expect(existsSync(dir)).toBe(true)
  await close()
  await close()
  expect(existsSync(dir)).toBe(false)
  for (const { pid } of nodes) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
})

test('a Cluster is up with all its replicas within 3.5 s, and promotes one when a primary is killed', async () => {
  const startedAt = performance.now()
  const { primaries, replicas } = await open(startCluster())
  expect(performance.now() - startedAt).toBeLessThan(3500)
  expect(primaries).toHaveLength(3)
  const [first, , third] = primaries
  expect(await first?.command('CLUSTER', 'KEYSLOT', 'foo')).toBe(12_182)
  await expect(first?.command('GET', 'foo')).rejects.toThrow(`MOVED 12182 127.0.0.1:${third?.address.port}`)
  await first?.kill()
  await eventually(async () => expect(await Promise.all(replicas.map(roleOf))).toEqual(['master', 'slave', 'slave']))
})

const roleOf = async (node: EngineNode): Promise<unknown> => {
  const role = await node.command('ROLE')
  return Array.isArray(role) ? role[0] : role
}

test('Sentinels promote a replica when the primary is killed', async () => {
  const { primary, replicas, sentinels, masterName } = await open(startSentinel())
  const [watcher = primary] = sentinels
  const whereIs = async (): Promise<number> => {
    const [, port = ''] = (await watcher.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName)) as string[]
    return Number(port)
  }
  expect(await whereIs()).toBe(primary.address.port)
  await primary.kill()
  const port = await eventually(async () => {
    const seen = await whereIs()
    return seen !== primary.address.port && seen
  })
  expect(replicas.map(({ address }) => address.port)).toContain(port)
})

test('a link is delayed, swallowed in one direction, cut and healed', async () => {
  const { node } = await open(startStandalone())
  const proxy = await open(startCutProxy(node.address))
  const client = createClient({
    socket: { ...proxy.address, reconnectStrategy: () => 20 },
    disableOfflineQueue: true,
    commandOptions: { timeout: 0 },
  })
  client.on('error', () => undefined)
  opened.push({ close: () => client.destroy() })
  await client.connect()
  expect(proxy).toMatchObject({ accepted: 1, open: 1 })

  proxy.delayMs = 40
  const sentAt = performance.now()
  await client.set('k', 'slow')
  expect(performance.now() - sentAt).toBeGreaterThanOrEqual(79)
  proxy.delayMs = 0

  proxy.blackhole('answers')
  let answered = false
  const written = client.set('k', 'done').then(() => {
    answered = true
  })
  await eventually(async () => (await node.command('GET', 'k')) === 'done')
  expect(answered).toBe(false)
  await proxy.heal()
  await written

  proxy.cut()
  await eventually(() => !client.isReady && proxy.open === 0)
  await expect(refusal(proxy.address)).resolves.toBe('ECONNREFUSED')
  await proxy.heal()
  await eventually(() => client.isReady)
  expect(await client.get('k')).toBe('done')
  expect(proxy.accepted).toBe(2)
})

const refusal = ({ host, port }: Address): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    socket.once('connect', () => resolve(socket.destroy() && 'connected'))
  })

test('PostgreSQL is ready within 4 s, refuses while it is down, and comes back with its tables', async () => {
  const startedAt = performance.now()
  const database = await open(startPostgres())
  await database.pool.query('create table stock (sku text primary key, pieces int)')
  expect(performance.now() - startedAt).toBeLessThan(4000)
  await database.pool.query('insert into stock values ($1, $2)', ['shoe', 3])
  await database.kill()
  await expect(database.pool.query('select 1')).rejects.toThrow()
  await database.restart()
  const { rows } = await eventually(() => database.pool.query('select * from stock'))
  expect(rows).toEqual([{ sku: 'shoe', pieces: 3 }])
})
