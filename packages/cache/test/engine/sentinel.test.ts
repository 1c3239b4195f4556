import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { ReplyError } from '../../src/engine/engine.ts'
import type { Listen } from '../../src/engine/sentinel.ts'
import { sentinelTopology } from '../../src/engine/sentinel.ts'
import { readSentinelAnswer, weigh } from '../../src/engine/sentinel-answers.ts'
import type { Address, Ask, Layout, Topology } from '../../src/engine/topology.ts'
import { CacheError } from '../../src/errors.ts'
import { HandClock } from '../../src/testing/hand-clock.ts'

const at = (port: number): Address => ({ host: 'h', port })

interface Sentinel {
  primary: number
  epoch: number
  replicas: number[]
  down: number[]
  others: number[]
  /** Null: it never answers. */
  delayMs: number | null
  error?: Error
}

/** A small world of Sentinels at ports from 26001 and nodes at ports from 7001, that a test changes as it likes. */
class World {
  readonly clock = new HandClock()
  readonly sentinels = new Map<number, Sentinel>()
  /** What each node says to be; a node that is not there does not answer. */
  readonly roles = new Map<number, 'master' | 'slave' | Error>()
  /** Whose data each node has: of itself, and of whom it went on from. */
  readonly histories = new Map<number, readonly [id: string, before: string]>()
  readonly asked: number[] = []
  readonly listeners = new Map<number, Parameters<Listen>[2]>()
  readonly layouts: Layout[] = []
  readonly troubles: CacheError[] = []
  topology: Topology | undefined

  constructor({ sentinels = 3, primary = 7001, epoch = 1 } = {}) {
    const ports = Array.from({ length: sentinels }, (_, index) => 26_001 + index)
    for (const port of ports) {
      const others = ports.filter((other) => other !== port)
      this.sentinels.set(port, { primary, epoch, replicas: [7002, 7003], down: [], others, delayMs: 1 })
    }
    for (const port of [7001, 7002, 7003]) this.roles.set(port, port === primary ? 'master' : 'slave')
  }

  readonly ask: Ask = (address, commands, withinMs) =>
    new Promise((resolve, reject) => {
      this.asked.push(address.port)
      const sentinel = this.sentinels.get(address.port)
      const role = this.roles.get(address.port)
      const delayMs = sentinel === undefined ? (role === undefined ? null : 1) : sentinel.delayMs
      if (delayMs === null || delayMs > withinMs) {
        this.clock.after(withinMs, () => reject(new CacheError('UNAVAILABLE', 'no answer')))
        return
      }
      this.clock.after(delayMs, () => {
        if (sentinel?.error !== undefined) resolve(commands.map(() => sentinel.error))
        else if (sentinel !== undefined) resolve(repliesOf(sentinel))
        else resolve(commands.map(([name]) => this.#nodeReply(String(name), address.port, role)))
      })
    })

  #nodeReply(command: string, port: number, role: 'master' | 'slave' | Error | undefined): unknown {
    if (role instanceof Error) return role
    const [id, before] = this.histories.get(port) ?? ['a', none]
    switch (command) {
      case 'ROLE':
        return [role, 0, []]
      case 'HELLO':
        return ['role', role === 'master' ? 'master' : 'replica']
      default:
        return `# Replication\r\nrole:${role}\r\nmaster_replid:${id}\r\nmaster_replid2:${before}\r\n`
    }
  }

  readonly subscribe: Listen = (address, _channels, hear) => {
    this.listeners.set(address.port, hear)
    return () => this.listeners.delete(address.port)
  }

  /** Asks from the first Sentinel on, or from those given. */
  watch(seeds: readonly number[] = [26_001], subscribe?: Listen): Topology {
    const topology = sentinelTopology({
      sentinels: seeds.map(at),
      masterName: 'main',
      ask: this.ask,
      clock: this.clock,
      trouble: (error) => this.troubles.push(error),
      ...(subscribe !== undefined && { subscribe }),
    })
    topology.onChange((layout) => this.layouts.push(layout))
    this.topology = topology
    return topology
  }

  fail(over: { to: number; epoch: number; toldBy?: readonly number[] }): void {
    for (const [port, sentinel] of this.sentinels) {
      if (over.toldBy !== undefined && !over.toldBy.includes(port)) continue
      Object.assign(sentinel, { primary: over.to, epoch: over.epoch, replicas: [7001, 7002, 7003] })
    }
    this.roles.set(over.to, 'master')
  }

  get primary(): number | null | undefined {
    const shard = this.topology?.layout?.shards[0]
    return shard === undefined ? undefined : (shard.primary?.port ?? null)
  }

  get replicas(): readonly number[] | undefined {
    return this.topology?.layout?.shards[0]?.replicas.map(({ port }) => port)
  }
}

const repliesOf = ({ primary, epoch, replicas, down, others }: Sentinel): readonly unknown[] => [
  ['name', 'main', 'ip', 'h', 'port', `${primary}`, 'flags', 'master', 'config-epoch', `${epoch}`],
  ['h', `${primary}`],
  replicas.map((port) => ['ip', 'h', 'port', `${port}`, 'flags', down.includes(port) ? 's_down,slave' : 'slave']),
  others.map((port) => ({ ip: 'h', port: `${port}`, flags: 'sentinel' })),
]

const none = '0'.repeat(40)

let world = new World()
afterEach(() => {
  world.topology?.close()
  expect(world.listeners.size).toBe(0)
})

describe('a Sentinel topology', () => {
  test('knows primary and replicas from one seed, and learns the other Sentinels', async () => {
    world = new World()
    world.watch()
    await world.clock.advance(10)
    expect(world.topology?.layout).toEqual({
      shards: [{ primary: at(7001), replicas: [at(7002), at(7003)], slots: [[0, 16_383]] }],
      epoch: 1,
    })
    world.asked.length = 0
    await world.clock.advance(1500)
    expect(new Set(world.asked)).toEqual(new Set([26_001, 26_002, 26_003, 7001]))
    expect(world.layouts).toHaveLength(1)
  })

  test('believes the highest epoch, however few say so', async () => {
    world = new World()
    world.watch([26_001, 26_002, 26_003])
    await world.clock.advance(10)
    world.fail({ to: 7002, epoch: 2, toldBy: [26_003] })
    world.topology?.suspect('the test')
    await world.clock.advance(60)
    // The two that answered first are a majority; the third is heard nevertheless.
    await world.clock.advance(200)
    expect(world.primary).toBe(7002)
    expect(world.replicas).toEqual([7001, 7003])
  })

  test('does not go back for one that tells of the past', async () => {
    world = new World({ epoch: 5 })
    Object.assign(world.sentinels.get(26_001) as Sentinel, { primary: 7003, epoch: 2 })
    world.roles.set(7003, 'master')
    world.watch([26_001, 26_002, 26_003])
    await world.clock.advance(10)
    expect(world.primary).toBe(7001)
    for (const port of [26_002, 26_003]) (world.sentinels.get(port) as Sentinel).delayMs = null
    await world.clock.advance(5000)
    expect(world.primary).toBe(7001)
    expect(world.layouts).toHaveLength(1)
  })

  test('goes back when most Sentinels were set up anew', async () => {
    world = new World({ epoch: 5 })
    world.watch()
    await world.clock.advance(10)
    world.fail({ to: 7002, epoch: 0 })
    await world.clock.advance(2000)
    expect(world.primary).toBe(7002)
    expect(world.topology?.layout?.epoch).toBe(0)
  })

  test('never waits for the slowest', async () => {
    world = new World()
    ;(world.sentinels.get(26_003) as Sentinel).delayMs = null
    world.watch([26_001, 26_002, 26_003])
    await world.clock.advance(4)
    expect(world.primary).toBe(7001)
  })

  test('one answer and a short grace are enough where the others are dead', async () => {
    world = new World()
    for (const port of [26_001, 26_002]) (world.sentinels.get(port) as Sentinel).delayMs = null
    world.watch([26_001, 26_002, 26_003])
    await world.clock.advance(60)
    expect(world.primary).toBe(7001)
  })

  test('asks a Sentinel that hangs one thing at a time', async () => {
    world = new World()
    world.watch([26_001, 26_002, 26_003])
    await world.clock.advance(10)
    ;(world.sentinels.get(26_003) as Sentinel).delayMs = null
    world.asked.length = 0
    const storm = Array.from({ length: 300 })
    for (const _ of storm) {
      world.topology?.suspect('a command failed')
      // oxlint-disable-next-line no-await-in-loop
      await world.clock.advance(1)
    }
    expect(world.asked.filter((port) => port === 26_003).length).toBeLessThanOrEqual(2)
    // Three hundred suspicions within 300 ms are at most one look each 50 ms.
    expect(world.asked.filter((port) => port === 26_001).length).toBeLessThanOrEqual(7)
  })

  test('names nobody while the node it was told says to be a replica', async () => {
    world = new World()
    world.watch()
    await world.clock.advance(10)
    world.fail({ to: 7002, epoch: 2 })
    world.roles.set(7002, 'slave')
    await world.clock.advance(1500)
    expect(world.primary).toBe(null)
    expect(world.replicas).toEqual([7001, 7003])
    world.roles.set(7002, 'master')
    await world.clock.advance(250)
    expect(world.primary).toBe(7002)
  })

  test('keeps a primary that is silent until another takes over, and looks often meanwhile', async () => {
    world = new World()
    world.watch()
    await world.clock.advance(10)
    world.roles.delete(7001)
    world.topology?.suspect('it does not answer')
    await world.clock.advance(1000)
    expect(world.primary).toBe(7001)
    world.fail({ to: 7003, epoch: 2 })
    await world.clock.advance(600)
    expect(world.primary).toBe(7003)
    // A layout may be told twice for one failover, never more.
    expect(world.layouts).toHaveLength(2)
  })

  test('does not write to the old primary when the next one is not reached', async () => {
    world = new World()
    world.watch()
    await world.clock.advance(10)
    world.fail({ to: 7002, epoch: 2 })
    world.roles.delete(7002)
    await world.clock.advance(2000)
    expect(world.primary).toBe(null)
  })

  test('follows a replica that went on from the dead primary before the Sentinels tell of it', async () => {
    world = new World()
    world.watch()
    await world.clock.advance(1000)
    world.roles.delete(7001)
    world.roles.set(7002, 'master').set(7003, 'slave')
    world.histories.set(7002, ['b', 'a'])
    world.topology?.suspect('the connection was lost')
    await world.clock.advance(700)
    expect(world.topology?.layout).toMatchObject({ epoch: 1, shards: [{ primary: at(7002), replicas: [at(7003)] }] })

    // The old one is started again, and is still named: what it takes now would be lost.
    world.roles.set(7001, 'master')
    await world.clock.advance(3000)
    expect(world.primary).toBe(7002)
    world.fail({ to: 7002, epoch: 2 })
    await world.clock.advance(3000)
    expect(world.topology?.layout).toMatchObject({ epoch: 2, shards: [{ primary: at(7002) }] })
  })

  test.each([
    ['that went on from another primary', { 7002: ['b', 'x'] }],
    ['that never followed anybody', { 7002: ['b', none] }],
    ['where two went on from it', { 7002: ['b', 'a'], 7003: ['c', 'a'] }],
  ] as const)('does not follow one %s', async (_, histories) => {
    world = new World()
    world.watch()
    await world.clock.advance(1000)
    world.roles.delete(7001)
    for (const [port, history] of Object.entries(histories)) {
      world.roles.set(Number(port), 'master')
      world.histories.set(Number(port), history)
    }
    world.topology?.suspect('the connection was lost')
    await world.clock.advance(3000)
    expect(world.primary).toBe(7001)
  })

  test('follows nobody any more when the successor is a replica again', async () => {
    world = new World()
    world.watch()
    await world.clock.advance(1000)
    world.roles.delete(7001)
    world.roles.set(7002, 'master')
    world.histories.set(7002, ['b', 'a'])
    world.topology?.suspect('the connection was lost')
    await world.clock.advance(700)
    expect(world.primary).toBe(7002)
    world.roles.set(7002, 'slave')
    await world.clock.advance(3000)
    expect(world.primary).toBeNull()
  })

  test('listens to two Sentinels and follows what they say within a moment', async () => {
    world = new World()
    world.watch([26_001], world.subscribe)
    await world.clock.advance(1500)
    expect(world.listeners.size).toBe(2)
    world.roles.delete(7001)
    world.topology?.suspect('it does not answer')
    await world.clock.advance(60)
    world.fail({ to: 7002, epoch: 2 })
    const [hear] = world.listeners.values()
    hear?.message({ channel: '+switch-master', text: 'other h 1 h 2' })
    hear?.message({ channel: '+switch-master', text: 'main h 7001 h 7002' })
    await world.clock.advance(60)
    expect(world.primary).toBe(7002)
  })

  test('listens to another when one is lost or falls silent', async () => {
    world = new World()
    world.watch([26_001], world.subscribe)
    await world.clock.advance(1500)
    const [first] = world.listeners.keys()
    world.listeners.get(first ?? 0)?.lost('cut')
    world.listeners.delete(first ?? 0)
    ;(world.sentinels.get(first ?? 0) as Sentinel).delayMs = null
    await world.clock.advance(3000)
    expect(world.listeners.size).toBe(2)
    expect([...world.listeners.keys()]).not.toContain(first)
    ;(world.sentinels.get(first ?? 0) as Sentinel).delayMs = 1
    const [second] = world.listeners.keys()
    ;(world.sentinels.get(second ?? 0) as Sentinel).delayMs = null
    await world.clock.advance(6000)
    expect(world.listeners.size).toBe(2)
    expect([...world.listeners.keys()]).not.toContain(second)
  })

  test('leaves out a replica that most say is down, and keeps one that a single Sentinel misses', async () => {
    world = new World()
    for (const [port, sentinel] of world.sentinels) sentinel.down = port === 26_001 ? [7002, 7003] : [7003]
    world.watch([26_001, 26_002, 26_003])
    await world.clock.advance(10)
    await world.clock.advance(1500)
    expect(world.replicas).toEqual([7002])
  })

  test('says once that no Sentinel knows the name, or lets us in', async () => {
    world = new World()
    for (const sentinel of world.sentinels.values()) {
      sentinel.error = new ReplyError('ERR No such master with that name')
    }
    world.watch([26_001, 26_002, 26_003])
    await world.clock.advance(5000)
    expect(world.troubles.map(({ code, message }) => [code, message])).toEqual([
      ['INVALID', 'no Sentinel knows a primary of the name main: mend the name in the url'],
    ])
    for (const sentinel of world.sentinels.values()) sentinel.error = new ReplyError('NOAUTH Authentication required.')
    await world.clock.advance(5000)
    expect(world.troubles.map(({ code }) => code)).toEqual(['INVALID', 'DENIED'])
    expect(world.topology?.layout).toBe(undefined)
  })

  test('believes the Sentinels where the node does not let it ask', async () => {
    world = new World()
    world.roles.set(7001, new ReplyError("NOPERM this user has no permissions to run the 'role' command"))
    world.watch()
    await world.clock.advance(10)
    expect(world.primary).toBe(7001)
  })

  test('looks less often when the outage is long, and leaves no timer behind', async () => {
    world = new World()
    world.roles.delete(7001)
    world.watch()
    await world.clock.advance(40_000)
    expect(world.primary).toBe(null)
    world.asked.length = 0
    await world.clock.advance(10_000)
    expect(world.asked.filter((port) => port === 26_001).length).toBeLessThan(15)
    world.topology?.close()
    await world.clock.advance(1000)
    expect(world.clock.waiting).toBe(0)
  })
})

describe('the answers of Sentinels', () => {
  const sentinel = { primary: 7001, epoch: 3, replicas: [7002], down: [], others: [26_002], delayMs: 1 }
  const read = { primary: at(7001), epoch: 3, replicas: [{ address: at(7002), down: false }], sentinels: [at(26_002)] }

  test('are read in RESP 2 and both shapes of RESP 3', () => {
    const replies = repliesOf(sentinel)
    const pairs = (reply: unknown): [unknown, unknown][] => {
      const flat = reply as unknown[]
      return flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1]]] : []))
    }
    const [master, address, replicas, sentinels] = replies
    const asMaps = [
      new Map(pairs(master)),
      address,
      (replicas as unknown[]).map((one) => new Map(pairs(one))),
      sentinels,
    ]
    const asObjects = [Object.fromEntries(pairs(master)), address, replicas, sentinels]
    for (const shape of [replies, asMaps, asObjects]) expect(readSentinelAnswer(shape)).toEqual(read)
  })

  test('that are nonsense are none', () => {
    fc.assert(
      fc.property(fc.array(fc.anything(), { maxLength: 4 }), (replies) => {
        expect(readSentinelAnswer(replies)?.primary).toBe(undefined)
      }),
    )
  })

  test('come to the same in whatever order they are heard', () => {
    const address = fc.integer({ min: 7001, max: 7004 }).map(at)
    const answer = fc.record({
      primary: address,
      epoch: fc.integer({ min: 0, max: 3 }),
      replicas: fc.array(fc.record({ address, down: fc.boolean() }), { maxLength: 3 }),
      sentinels: fc.constant([]),
    })
    fc.assert(
      fc.property(fc.array(answer, { maxLength: 5 }), (answers) => {
        const verdict = weigh(answers)
        expect(weigh(answers.toReversed())).toEqual(verdict)
        expect(verdict?.epoch).toBe(answers.length === 0 ? undefined : Math.max(...answers.map(({ epoch }) => epoch)))
        for (const candidate of verdict?.candidates ?? []) expect(verdict?.replicas).not.toContainEqual(candidate)
      }),
    )
  })
})
