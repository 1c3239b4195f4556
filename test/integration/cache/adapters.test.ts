import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster, createSentinel } from 'redis'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../packages/cache/src/clock.ts'
import { engineOver as engineOverIoredis } from '../../../packages/cache/src/engine/adapters/ioredis.ts'
import { engineOver as engineOverNodeRedis } from '../../../packages/cache/src/engine/adapters/node-redis.ts'
import type { Call, Engine, Link } from '../../../packages/cache/src/engine/engine.ts'
import { ReplyError } from '../../../packages/cache/src/engine/engine.ts'
import { withMessages } from '../../../packages/cache/src/engine/messages.ts'
import { defineScript } from '../../../packages/cache/src/engine/script.ts'
import type { StartedEngine, StartedSentinel } from '../../support/cache-engines.ts'
import { startCluster, startSentinel, startStandalone } from '../../support/cache-engines.ts'
import { eventually } from '../../support/eventually.ts'

let standalone: StartedEngine
let cluster: StartedEngine
let sentinel: StartedSentinel
beforeAll(async () => {
  ;[standalone, cluster, sentinel] = await Promise.all([
    startStandalone(),
    startCluster({ replicasPerShard: 0 }),
    startSentinel({ replicas: 1, sentinels: 1 }),
  ])
})
afterAll(async () => {
  await Promise.all([standalone?.close(), cluster?.close(), sentinel?.close()])
})

const cleanUp: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) {
    // oxlint-disable-next-line no-await-in-loop
    await clean()
  }
})

const clock = systemClock
const quietly = { on: () => {} }

/** The four connections that an application may have, each with an engine over it. */
const kinds: Record<string, () => Promise<Engine>> = {
  async 'ioredis Redis'() {
    const client = new Redis({
      ...standalone.addresses[0],
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
    })
    client.on('error', quietly.on)
    cleanUp.push(() => client.disconnect())
    return opened(engineOverIoredis(client, { clock }))
  },
  async 'ioredis Cluster'() {
    const client = new Cluster([...cluster.addresses], { enableOfflineQueue: false })
    client.on('error', quietly.on)
    cleanUp.push(() => client.disconnect())
    return opened(engineOverIoredis(client, { clock }))
  },
  async 'node-redis client'() {
    const client = createClient({ socket: { ...standalone.addresses[0] }, commandOptions: { timeout: 0 } })
    client.on('error', quietly.on)
    cleanUp.push(() => client.destroy())
    await client.connect()
    return opened(engineOverNodeRedis(client, { clock }))
  },
  async 'node-redis sentinel'() {
    const client = createSentinel({ name: sentinel.masterName, sentinelRootNodes: [...sentinel.addresses] })
    client.on('error', quietly.on)
    cleanUp.push(() => client.destroy())
    await client.connect()
    return opened(engineOverNodeRedis(client, { clock }))
  },
  async 'node-redis cluster'() {
    const rootNodes = cluster.addresses.map((socket) => ({ socket }))
    const client = createCluster({ rootNodes })
    client.on('error', quietly.on)
    cleanUp.push(() => client.destroy())
    await client.connect()
    return opened(engineOverNodeRedis(client, { clock }))
  },
}
const clusters = ['ioredis Cluster', 'node-redis cluster']
const standalones = ['ioredis Redis', 'node-redis client']

function openKind(kind: string): Promise<Engine> {
  const open = kinds[kind]
  if (open === undefined) throw new Error(`no connection of the kind ${kind}`)
  return open()
}

function opened(engine: Engine): Engine {
  cleanUp.push(() => engine.close())
  return engine
}

const call = (key: string, commands: Call['commands'], more: Partial<Call> = {}): Call => ({
  commands,
  key,
  deadlineAt: clock.monotonic() + 1000,
  kind: 'write',
  ...more,
})

const plus = defineScript({
  name: 'plus',
  lua: `return redis.call('INCRBY', KEYS[1], ARGV[1]) -- ${process.pid}`,
  inMemory: (world, [key = ''], [by = '']) => world.call('INCRBY', key, by),
})

describe.each(Object.keys(kinds))('an engine over %s', (kind) => {
  const open = (): Promise<Engine> => openKind(kind)
  const key = (name: string): string => `{${kind}}:${name}`

  test('reads and writes text and bytes, several commands together, and scripts from the first use on', async () => {
    const engine = await open()
    const bytes = Buffer.from([0, 255, 128])
    await engine.send(call(key('a'), [['SET', key('a'), bytes]]))
    const read = await engine.send(call(key('a'), [['GET', key('a')]], { kind: 'read', bytes: true }))
    expect(read).toMatchObject({ replies: [bytes], role: 'primary', link: { live: false } })
    const transaction = [['MULTI'], ['SET', key('b'), '1'], ['INCR', key('b')], ['EXEC']]
    expect((await engine.send(call(key('b'), transaction))).replies).toEqual(['OK', 'QUEUED', 'QUEUED', ['OK', 2]])
    const run = { script: plus, keys: [key('b')], args: ['5'] }
    expect((await engine.send(call(key('b'), [run]))).replies).toEqual([7])
    expect((await engine.send(call(key('b'), [run]))).replies).toEqual([12])
    const mixed: Call['commands'] = [run, ['LPUSH', key('b'), 'x'], ['GET', key('b')]]
    const { replies } = await engine.send(call(key('b'), mixed, { bytes: true }))
    expect(replies).toEqual([17, expect.any(ReplyError), Buffer.from('17')])
    expect((await engine.send(call(key('c'), [['PUBLISH', key('c'), 'x']]))).replies).toEqual([0])
  })

  test('says no in typed words, groups by slots, and knows a key of each primary', async () => {
    const engine = await open()
    await engine.send(call(key('text'), [['SET', key('text'), 'x']]))
    const refusal = await engine.send(call(key('text'), [['INCR', key('text')]])).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'REFUSED', cause: expect.any(ReplyError) })
    const clustered = clusters.includes(kind)
    expect(engine.group(['a', '{a}:2', 'b'])).toEqual(clustered ? [[0, 1], [2]] : [[0, 1, 2]])
    await eventually(() => engine.primaryKeys().length === (clustered ? 3 : 1))
    const lane = engine.lane('durable')
    expect(engine.lane('durable')).toBe(lane)
    expect(
      (
        await lane.send(
          call(key('lane'), [
            ['SET', key('lane'), '1'],
            ['WAIT', '0', '10'],
          ]),
        )
      ).replies,
    ).toEqual(['OK', 0])
  })

  test('tells other processes of changes by messages, and answers over a link that is live', async () => {
    const channel = key('changes')
    const writer = withMessages(await open(), { channel, clock, sender: 'writer' })
    const reader = withMessages(await open(), { channel, clock, sender: 'reader' })
    cleanUp.push(
      () => writer.close(),
      () => reader.close(),
    )
    const links: Link[] = []
    const told: string[] = []
    reader.on('linked', (link) => links.push(link))
    reader.on('changed', (keys) => told.push(...(keys ?? ['all'])))
    await eventually(() => links.at(-1)?.live === true)
    const { link } = await reader.send(call(key('m'), [['GET', key('m')]], { kind: 'read' }))
    expect(link).toBe(links.at(-1))
    writer.tell([key('m'), key('n')])
    reader.tell([key('own')])
    await eventually(() => told.length >= 2)
    expect(told).toEqual([key('m'), key('n')])
    expect(link.live).toBe(true)
    // Not every client says that its subscription was cut; the numbers of the messages do.
    const { nodes } = clusters.includes(kind) ? cluster : kind.endsWith('sentinel') ? sentinel : standalone
    await Promise.all(nodes.map((node) => node.command('CLIENT', 'KILL', 'TYPE', 'pubsub')))
    writer.tell([key('cut')])
    await eventually(() => told.includes(key('cut')) || !link.live)
    await eventually(() => links.at(-1)?.live === true)
    writer.tell([key('o')])
    await eventually(() => told.includes(key('o')))
  })
})

describe.each(standalones)('an engine over %s', (kind) => {
  test('ends waiting by the deadline when the node freezes, refuses at once then, and comes back', async () => {
    const engine = await openKind(kind)
    const states: string[] = []
    engine.on('breaker', (_node, state) => states.push(state))
    const read = (patient = false): Promise<unknown> => {
      const deadlineAt = clock.monotonic() + (patient ? 5000 : 200)
      const asked = engine.send(call('f', [['GET', 'f']], { kind: 'read', deadlineAt, patient }))
      return asked.then(({ replies }) => replies).catch((error: { code: string }) => error.code)
    }
    expect(await read()).toEqual([null])
    const [node] = standalone.nodes
    node?.stop()
    const began = performance.now()
    const write = engine.send(call('f', [['INCR', 'f']], { deadlineAt: clock.monotonic() + 200 }))
    expect(await Promise.all([read(), write.catch((error: { code: string }) => error.code)])).toEqual([
      'UNAVAILABLE',
      'INDETERMINATE',
    ])
    expect(performance.now() - began).toBeLessThan(400)
    const refusedAt = performance.now()
    expect(await read()).toBe('UNAVAILABLE')
    expect(performance.now() - refusedAt).toBeLessThan(50)
    const patient = read(true)
    node?.continue()
    expect(await patient).toEqual(['1'])
    await engine.send(call('f', [['DEL', 'f']]))
    await node?.restart()
    await eventually(async () => Array.isArray(await read()))
    expect(states[0]).toBe('open')
    expect(states.at(-1)).toBe('closed')
  })
})
