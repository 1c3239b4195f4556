import { RedisClient } from '@redis/client'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../packages/cache/src/clock.ts'
import type { Listen } from '../../../packages/cache/src/engine/sentinel.ts'
import { sentinelTopology } from '../../../packages/cache/src/engine/sentinel.ts'
import { nameOf } from '../../../packages/cache/src/engine/sentinel-answers.ts'
import type { Address, Ask, Topology } from '../../../packages/cache/src/engine/topology.ts'
import type { StartedSentinel } from '../../support/cache-engines.ts'
import { startSentinel } from '../../support/cache-engines.ts'
import { eventually } from '../../support/eventually.ts'

const newClient = RedisClient.factory({ RESP: 3 })
const connect = ({ host, port }: Address) => {
  const options = {
    RESP: 3 as const,
    socket: { host, port, reconnectStrategy: false as const, connectTimeout: 300 },
    commandOptions: { timeout: 0 },
    disableClientInfo: true,
    disableOfflineQueue: true,
  }
  const client = newClient(options)
  client.on('error', () => {})
  return client
}
type Client = ReturnType<typeof connect>

/** Asks over connections that are kept, as the engine layer does, but in the plainest way. */
function newPorts(): { ask: Ask; subscribe: Listen; close: () => void } {
  const open = new Map<string, Promise<Client>>()
  const all = new Set<Client>()
  const opened = async (address: Address): Promise<Client> => {
    const client = connect(address)
    all.add(client)
    await client.connect()
    return client
  }
  const ask: Ask = async (address, commands, withinMs) => {
    const name = nameOf(address)
    const connecting = open.get(name) ?? opened(address)
    open.set(name, connecting)
    const replies = connecting.then((client) =>
      Promise.all(
        commands.map((command) =>
          client.sendCommand([...command]).catch((error: unknown) => {
            if (!client.isReady) throw error
            return error
          }),
        ),
      ),
    )
    const late = new Promise<never>((_, reject) => systemClock.after(withinMs, () => reject(new Error('no answer'))))
    replies.catch(() => {})
    try {
      return await Promise.race([replies, late])
    } catch (error) {
      open.delete(name)
      connecting.then((client) => client.destroy()).catch(() => {})
      throw error
    }
  }
  const subscribe: Listen = (address, channels, hear) => {
    const client = connect(address)
    all.add(client)
    client.on('terminated', () => hear.lost('the connection ended'))
    client
      .connect()
      .then(() => client.subscribe([...channels], (text, channel) => hear.message({ channel, text })))
      .catch((error: unknown) => hear.lost(String(error)))
    return () => {
      client.removeAllListeners('terminated')
      client.destroy()
    }
  }
  const close = (): void => {
    for (const client of all) {
      client.removeAllListeners('terminated')
      if (client.isOpen) client.destroy()
    }
  }
  return { ask, subscribe, close }
}

let deployment: StartedSentinel | undefined
const cleanUp: (() => void)[] = []
afterEach(async () => {
  for (const clean of cleanUp.splice(0)) clean()
  await deployment?.close()
})

function watch(sentinels: readonly Address[], { listening = true } = {}): Topology {
  const { ask, subscribe, close } = newPorts()
  const topology = sentinelTopology({
    sentinels,
    masterName: deployment?.masterName ?? '',
    ask,
    clock: systemClock,
    ...(listening && { subscribe }),
  })
  cleanUp.push(() => topology.close(), close)
  return topology
}

const primaryOf = (topology: Topology): number | null | undefined => {
  const shard = topology.layout?.shards[0]
  return shard === undefined ? undefined : (shard.primary?.port ?? null)
}

async function nextPrimary(topology: Topology, before: number): Promise<number> {
  let next = before
  await eventually(() => {
    next = primaryOf(topology) ?? before
    return next !== before
  })
  return next
}

const roleOf = async (port: number): Promise<unknown> => {
  const node = deployment?.nodes.find(({ address }) => address.port === port)
  const role = (await node?.command('ROLE')) as unknown[]
  return role[0]
}

describe('Sentinels', () => {
  test('name the next primary after a kill, one of them dead, from a single seed', async () => {
    deployment = await startSentinel({ downAfterMs: 500 })
    const { primary, addresses, sentinels, masterName } = deployment
    const listening = watch(addresses.slice(0, 1))
    const polling = watch(addresses.slice(0, 1), { listening: false })
    await eventually(() => primaryOf(listening) === primary.address.port && primaryOf(polling) === primary.address.port)
    // It learned the others, so that the seed is not needed any more.
    await sentinels[0]?.kill()
    await primary.kill()
    const saidAt = eventually(async () => {
      const said = (await sentinels[1]?.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName)) as string[]
      return said[1] !== `${primary.address.port}`
    }).then(() => performance.now())
    const knownAt: Record<string, number> = {}
    for (const [name, topology] of Object.entries({ listening, polling })) {
      topology.onChange(() => {
        const now = primaryOf(topology)
        if (now != null && now !== primary.address.port) knownAt[name] ??= performance.now()
      })
      topology.suspect('the connection was lost')
    }
    const next = await nextPrimary(listening, primary.address.port)
    await eventually(() => primaryOf(polling) === next)
    expect(await roleOf(next)).toBe('master')
    const said = await saidAt
    // The first Sentinel to know may be a moment ahead of the one that is asked here, or behind it.
    const behind = Object.values(knownAt).map((at) => at - said)
    expect(behind).toHaveLength(2)

    for (const ms of behind) expect(ms).toBeLessThan(1000)

    // What comes back is a replica before long, and is never named meanwhile.
    const named: (number | null | undefined)[] = []
    listening.onChange(() => named.push(primaryOf(listening)))
    await primary.restart()
    await eventually(
      () => listening.layout?.shards[0]?.replicas.some(({ port }) => port === primary.address.port) ?? false,
    )
    expect(new Set([...named, next])).toEqual(new Set([next]))
  })

  test('tell of a planned failover within a moment', async () => {
    deployment = await startSentinel({ downAfterMs: 500 })
    const { primary, addresses, sentinels, masterName } = deployment
    const topology = watch(addresses)
    await eventually(
      () => primaryOf(topology) === primary.address.port && topology.layout?.shards[0]?.replicas.length === 2,
    )
    const epoch = topology.layout?.epoch ?? Number.POSITIVE_INFINITY
    await sentinels[0]?.command('SENTINEL', 'FAILOVER', masterName)
    const next = await nextPrimary(topology, primary.address.port)
    expect(await roleOf(next)).toBe('master')
    expect(topology.layout?.epoch).toBeGreaterThan(epoch)
  })

  test('are not followed into the past by one that missed a failover', async () => {
    deployment = await startSentinel({ downAfterMs: 500 })
    const { primary, addresses, sentinels } = deployment
    const [liar, ...honest] = sentinels
    const topology = watch(addresses)
    await eventually(() => primaryOf(topology) === primary.address.port)
    await liar?.kill()
    await primary.kill()
    topology.suspect('the connection was lost')
    const next = await nextPrimary(topology, primary.address.port)
    // The one that was away comes back alone: the others sleep, and the old primary is back and says to be one. (One that
    // had only been stopped would find their words in its sockets when it wakes.)
    for (const sentinel of honest) sentinel.stop()
    await primary.restart()
    await liar?.restart()
    const { ask, close } = newPorts()
    cleanUp.push(close)
    const told = await eventually(() =>
      ask(liar?.address ?? primary.address, [['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main']], 300),
    )
    expect(told).toEqual([['127.0.0.1', `${primary.address.port}`]])
    expect(await roleOf(primary.address.port)).toBe('master')
    const named: (number | null | undefined)[] = []
    topology.onChange(() => named.push(primaryOf(topology)))
    topology.suspect('the others do not answer')
    const lookedUntil = performance.now() + 1000
    await eventually(() => performance.now() > lookedUntil)
    expect([primaryOf(topology), ...named]).not.toContain(primary.address.port)
    for (const sentinel of honest) sentinel.continue()
    await eventually(() => primaryOf(topology) === next)
  })
})
