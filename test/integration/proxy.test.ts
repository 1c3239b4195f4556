import type { NodeStatus, ProxyStatus } from '@holdfast/core'
import { accessByProxy, urlFor } from '@holdfast/core'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

/** A client that knows one address and nothing else, as old programs do. It writes one key after the other. */
class PlainWriter {
  readonly acked: string[] = []
  readonly #redis: Redis
  #writing: Promise<void>
  #stopped = false

  constructor(url: string, prefix: string) {
    this.#redis = new Redis(url, { maxRetriesPerRequest: 1, retryStrategy: () => 20, commandTimeout: 2000 })
    this.#redis.on('error', () => {})
    this.#writing = this.#write(prefix)
  }

  async #write(prefix: string): Promise<void> {
    for (let number = 0; !this.#stopped; number++) {
      const key = `${prefix}-${number}`
      const answer = await this.#redis.set(key, '1').catch(() => null)
      if (answer === 'OK') this.acked.push(key)
    }
  }

  /** Ends writing, and answers what was acknowledged. */
  async close(): Promise<readonly string[]> {
    this.#stopped = true
    this.#redis.disconnect()
    await this.#writing
    return this.acked
  }
}

describe('a stable address before a primary and its replicas', () => {
  let it: TestDeployment
  const open: { close(): Promise<unknown> }[] = []

  beforeAll(async () => {
    const sentinel = { downAfter: '1s', failoverTimeout: '5s' }
    it = await TestDeployment.up({
      topology: 'sentinel',
      shards: 1,
      replicasPerShard: 1,
      sentinel,
      expose: { proxy: 'yes' },
    })
  })
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close()
  })
  afterAll(() => it?.close())

  const proxy = (): ProxyStatus => it.status().proxy as ProxyStatus
  const primary = (): NodeStatus => it.primaryOf('shard-1')
  const url = (): string =>
    urlFor('redis', accessByProxy(it.status(), { user: 'app', password: it.password }), { showSecret: true })
  const writer = (prefix: string): PlainWriter => {
    const one = new PlainWriter(url(), prefix)
    open.push(one)
    return one
  }
  const missing = async (id: string, keys: readonly string[]): Promise<number> =>
    keys.length - Number(await it.command(id, 'EXISTS', ...keys))

  /** What those say of themselves whom one port leads to, asked again and again by new connections. */
  const rolesBy = async (port: number, times: number): Promise<string[]> => {
    const roles: string[] = []
    for (let count = 0; count < times; count++) {
      const redis = new Redis(url().replace(/:\d+$/, `:${port}`), { retryStrategy: null })
      redis.on('error', () => {})
      roles.push(JSON.stringify(await redis.call('ROLE')))
      redis.disconnect()
    }
    return roles
  }

  test('leads to the primary, and readers to its replica', async () => {
    expect(proxy()).toMatchObject({ state: 'ok', primary: 'node-1' })
    await eventually(() => proxy().replicas?.length === 1)
    for (const role of await rolesBy(proxy().port, 3)) expect(role).toContain('"master"')
    const { replicaPort } = proxy()
    for (const role of await rolesBy(replicaPort ?? 0, 3)) expect(role).toContain('"slave"')
  })

  test('follows a switchover, and nothing that was acknowledged is lost', { timeout: 45_000 }, async () => {
    const [writing, former] = [writer('handed'), primary()]
    await eventually(() => writing.acked.length > 100)
    await it.controller.askOperation(it.name, { id: 'over', kind: 'switchover', subject: 'shard-1' }, 'test')
    // A Sentinel that refuses the first time is asked again five seconds later.
    const over = () => it.status().operations.find(({ id }) => id === 'over')
    const told = (): void => expect(`${over()?.state}: ${over()?.because}`).toMatch(/^done: /)
    await eventually(told, { withinMs: 30_000 })
    const before = writing.acked.length
    await eventually(() => writing.acked.length > before + 50)
    const acked = await writing.close()
    expect(primary().id).not.toBe(former.id)
    await it.ready()
    expect(await missing(primary().id, acked)).toBe(0)
  })

  test('follows the death of the primary within a moment', async () => {
    const [writing, former, mark] = [writer('died'), primary(), it.mark]
    await eventually(() => writing.acked.length > 100)
    it.kill(former.id)
    await eventually(() => primary().id !== former.id && proxy().primary === primary().id)
    const before = writing.acked.length
    await eventually(() => writing.acked.length > before + 50)
    const [, last] = [await writing.close(), writing.acked.at(-1) ?? '']
    expect(await it.command(primary().id, 'GET', last)).toBe('1')
    expect(it.told('node', mark).some((because) => because.startsWith(`the proxy leads to ${primary().id}`))).toBe(true)
    await it.ready()
  })

  test('comes back when it is killed, and says that it was away', async () => {
    const mark = it.mark
    it.kill('proxy')
    await eventually(() => it.told('node', mark).includes('the proxy is ok, was starting'))
    expect(it.told('node', mark)).toContain('the proxy is dead, was ok')
    await it.ready()
    for (const role of await rolesBy(proxy().port, 1)) expect(role).toContain('"master"')
  })

  test('without a controller it follows the Sentinels, and leads nobody to the old primary that wakes up', async () => {
    const [writing, former, pid] = [writer('alone'), primary(), it.pidOf('proxy')]
    const [frozen, others] = [it.pidOf(former.id), it.status().nodes.filter(({ id }) => id !== former.id)]
    await it.stopController()
    try {
      process.kill(frozen, 'SIGSTOP')
      const before = writing.acked.length
      await eventually(() => writing.acked.length > before + 50, { withinMs: 20_000 })
      // From here on both say to be the primary, until the Sentinels make the old one a replica.
      process.kill(frozen, 'SIGCONT')
      const since = writing.acked.length
      await eventually(() => writing.acked.length > since + 200)
    } finally {
      process.kill(frozen, 'SIGCONT')
    }
    const acked = await writing.close()
    await it.startController()
    await it.ready()
    expect(others.map(({ id }) => id)).toContain(primary().id)
    expect(await missing(primary().id, acked.slice(-200))).toBe(0)
    expect(it.pidOf('proxy')).toBe(pid)
  })

  test('is there once it is wanted, gone once it is not, and every edit keeps the connections', async () => {
    const spec = (expose: object) => ({ ...it.spec, expose: { ...(it.spec['expose'] as object), ...expose } })
    const redis = new Redis(url(), { retryStrategy: null })
    await redis.set('kept', '1')
    const mark = it.mark
    await it.controller.apply(spec({ proxy: { lastResort: 'yes' } }), null, 'test')
    await eventually(() => it.told('action', mark).includes('let proxy read its file again'))
    expect(await redis.get('kept')).toBe('1')
    await it.ready()
    redis.disconnect()
    await it.controller.apply(spec({ proxy: 'no' }), null, 'test')
    await eventually(() => it.told('action', mark).includes('delete the data of proxy'))
    expect(it.place.pidOf(it.name, 'proxy')).toBeUndefined()
    expect(it.status().proxy).toBeNull()
  })
})
