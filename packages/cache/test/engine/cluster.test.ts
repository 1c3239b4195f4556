import { expect, test } from 'vitest'
import { clusterTopology } from '../../src/engine/cluster.ts'
import type { Address, Layout, Topology } from '../../src/engine/topology.ts'
import { HandClock } from '../../src/testing/hand-clock.ts'

type Word = { readonly owner: number; readonly epoch: number; readonly ok?: boolean } | 'silent' | 'refuses'

/** A Cluster with two primaries, one for each half of the slots, told about by whoever is asked. */
class World {
  readonly clock = new HandClock()
  readonly asked: number[] = []
  readonly changes: Layout[] = []
  readonly words = new Map<number, Word>()
  readonly topology: Topology

  constructor(words: Readonly<Record<number, Word>>, seeds: readonly number[]) {
    for (const [port, word] of Object.entries(words)) this.words.set(Number(port), word)
    this.topology = clusterTopology({ seeds: seeds.map(at), clock: this.clock, ask: (address) => this.#ask(address) })
    this.topology.onChange((layout) => this.changes.push(layout))
  }

  /** Who has the second half. */
  get owner(): number | undefined {
    return this.topology.layout?.shards[1]?.primary?.port
  }

  async #ask({ port }: Address): Promise<readonly unknown[]> {
    this.asked.push(port)
    const word = this.words.get(port) ?? 'refuses'
    if (word === 'refuses') throw new Error('connect ECONNREFUSED')
    if (word === 'silent') {
      await new Promise<void>((resolve) => this.clock.after(300, resolve))
      throw new Error('it did not answer within 300 ms')
    }
    const { owner, epoch, ok = true } = word
    const slots = [
      [0, 8191, ['h', 1, 'id1']],
      [8192, 16_383, ['h', owner, `id${owner}`], ['h', 3, 'id3']],
    ]
    const lines = [
      `id1 h:1@1 ${port === 1 ? 'myself,' : ''}master - 0 0 1 connected 0-8191`,
      `id${owner} h:${owner}@1 ${port === owner ? 'myself,' : ''}master - 0 0 ${epoch} connected 8192-16383`,
    ]
    return [slots, `cluster_state:${ok ? 'ok' : 'fail'}\r\n`, lines.join('\n')]
  }
}

const at = (port: number): Address => ({ host: 'h', port })

test('asks all seeds at once, and the first that answers is enough', async () => {
  const world = new World({ 1: 'silent', 2: { owner: 2, epoch: 2 } }, [7, 1, 2])
  await world.clock.advance(0)
  expect(world.asked).toEqual([7, 1, 2])
  expect(world.owner).toBe(2)
})

test('asks again several times a second until anybody answers', async () => {
  const world = new World({}, [1])
  await world.clock.advance(1000)
  expect(world.asked.length).toBeGreaterThanOrEqual(5)
  expect(world.asked.length).toBeLessThanOrEqual(11)
  world.words.set(1, { owner: 2, epoch: 2 })
  await world.clock.advance(200)
  expect(world.owner).toBe(2)
})

test('asks one primary after the other every few seconds while all is well', async () => {
  const world = new World({ 1: { owner: 2, epoch: 2 }, 2: { owner: 2, epoch: 2 } }, [1])
  await world.clock.advance(20_000)
  const later = world.asked.slice(1)
  expect(later.length).toBeGreaterThanOrEqual(4)
  expect(later.length).toBeLessThanOrEqual(10)
  expect(new Set(later)).toEqual(new Set([1, 2]))
  expect(world.changes).toHaveLength(1)
})

test('many suspicions in one moment are one look', async () => {
  const world = new World({ 1: { owner: 2, epoch: 2 }, 2: { owner: 2, epoch: 2 } }, [1])
  await world.clock.advance(500)
  const before = world.asked.length
  for (let time = 0; time < 100; time++) world.topology.suspect('a slot has moved')
  await world.clock.advance(0)
  expect(world.asked.length - before).toBeLessThanOrEqual(3)
})

test('follows a takeover, whoever tells of it, and does not go back', async () => {
  const words = { 1: { owner: 2, epoch: 2 }, 2: { owner: 2, epoch: 2 }, 3: { owner: 3, epoch: 3 } } as const
  const world = new World(words, [1])
  await world.clock.advance(500)
  world.topology.suspect('node 2 is away')
  await world.clock.advance(1000)
  expect(world.owner).toBe(3)
  expect(world.changes.map(({ epoch }) => epoch)).toEqual([2, 3])
})

test('a node that thinks the Cluster is down is not followed', async () => {
  const world = new World({ 1: { owner: 2, epoch: 2 }, 2: { owner: 9, epoch: 9, ok: false } }, [1])
  await world.clock.advance(500)
  world.topology.suspect('who knows')
  await world.clock.advance(1000)
  expect(world.owner).toBe(2)
})

test('another Cluster at the same addresses, which counts from the start, is believed after a while', async () => {
  const world = new World({ 1: { owner: 2, epoch: 50 }, 2: { owner: 2, epoch: 50 } }, [1])
  await world.clock.advance(500)
  for (const port of [1, 2, 5]) world.words.set(port, { owner: 5, epoch: 1 })
  await world.clock.advance(4000)
  expect(world.owner).toBe(2)
  await world.clock.advance(12_000)
  expect(world.owner).toBe(5)
})

test('when nobody of the layout answers, the seeds are asked again', async () => {
  const world = new World({ 1: { owner: 2, epoch: 2 } }, [7, 1])
  await world.clock.advance(100)
  world.words.set(1, 'refuses')
  world.words.set(7, { owner: 3, epoch: 3 })
  await world.clock.advance(10_000)
  expect(world.owner).toBe(3)
})

test('leaves no timer behind when it is closed', async () => {
  const world = new World({ 1: { owner: 2, epoch: 2 } }, [1])
  await world.clock.advance(100)
  world.topology.close()
  world.topology.suspect('too late')
  expect(world.clock.waiting).toBe(0)
})

test('one that is said to be the primary is asked at once, also while a look is under way', async () => {
  const world = new World({ 1: 'silent', 2: { owner: 2, epoch: 2 }, 3: { owner: 2, epoch: 2 } }, [2])
  await world.clock.advance(0)
  world.topology.suspect('node 1 is away')
  await world.clock.advance(200)
  world.words.set(3, { owner: 3, epoch: 3 })
  world.topology.consult([at(3)], 'the feed says so')
  await world.clock.advance(0)
  expect(world.owner).toBe(3)
})

test('one that is said to be the primary and is not changes nothing, however often it is said', async () => {
  const world = new World({ 1: { owner: 2, epoch: 2 }, 2: { owner: 2, epoch: 2 }, 3: { owner: 2, epoch: 2 } }, [1])
  await world.clock.advance(100)
  const before = world.asked.length
  for (let time = 0; time < 100; time++) world.topology.consult([at(3), at(7)], 'a lie')
  await world.clock.advance(0)
  expect(world.asked.length - before).toBe(2)
  expect(world.changes).toHaveLength(1)
  expect(world.owner).toBe(2)
})
