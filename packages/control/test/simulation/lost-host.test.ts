/* The copies of a host that is lost are made anew on the others: the real loop, on four hosts whose ways are cut. */
import type { Document, NodePlace } from '@holdfast/core'
import { layOut, parseSpec } from '@holdfast/core'
import { expect, test } from 'vitest'
import type { MemoryStore } from '../../src/store/memory-store.ts'
import { deploymentLoops, membersOf, ownedNames } from './deployment-loop.ts'
import { controllerSite } from './memory/memory-agent.ts'
import { Simulation } from './world.ts'

const given = process.env['SEED']
const seeds = [given === undefined ? 1 : Number(given)]
const names = ['a', 'b', 'c', 'd']
const hosts = names.map((name, index) => ({ name, address: `10.0.0.${index + 1}`, zone: `z-${name}` }))
const placement = { remakeAfter: '20s' }
const cache = { name: 'shop', hosts, placement }
const durable = { ...cache, durability: 'durable', replicasPerShard: 2, memory: { policy: 'noeviction' } }

/** Nodes that may come: which host each comes to is decided then. */
function mayCome(spec: Readonly<Record<string, unknown>>): NodePlace[] {
  const places = layOut(parseSpec({ ...spec, spares: 12 }))
  return places.flatMap(({ spare, ...place }) => (spare === true ? [{ ...place, shard: 'shard-1' }] : []))
}

/** A deployment on four hosts, whose copies may come to other hosts. */
class Day {
  readonly simulation: Simulation
  readonly #store: MemoryStore

  private constructor(seed: number, spec: Readonly<Record<string, unknown>>) {
    const isHere = (host: string): boolean => this.simulation.agents.get(host)?.answers(controllerSite) === true
    const { makeTurner, store } = deploymentLoops(spec, undefined, undefined, undefined, isHere)
    this.#store = store
    this.simulation = new Simulation({
      seed,
      makeTurner,
      spec,
      hosts: names,
      moreNodes: mayCome(spec),
      layout: () => membersOf(this.document()),
      ownedDirectives: ownedNames(spec),
      limits: { doubleWritersMs: 300, leaseLossMs: 2500 },
    })
  }

  static async begin(seed: number, spec: Readonly<Record<string, unknown>>): Promise<Day> {
    const day = new Day(seed, spec)
    day.simulation.addController()
    await day.simulation.settle({ withinTurns: 600 })
    return day
  }

  document() {
    const document = this.#store.load('shop')
    if (document === undefined) throw new Error('there is no shop')
    return document
  }

  async save(document: Document): Promise<void> {
    await this.#store.save(document)
  }

  ways(kind: 'cut' | 'mend', host: string): void {
    for (const other of [...names.filter((name) => name !== host), controllerSite]) {
      this.simulation.inject({ kind, from: host, to: other })
      this.simulation.inject({ kind, from: other, to: host })
    }
  }

  /** What must hold at any time: no two copies of a shard that stay on one host. */
  async advance(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 500) {
      await this.simulation.advance(500)
      const staying = membersOf(this.document()).filter(({ lentTo }) => lentTo === undefined)
      for (const [index, one] of staying.entries()) {
        const twin = staying.slice(index + 1).find(({ shard, host }) => shard === one.shard && host === one.host)
        expect(twin, this.simulation.tellStory()).toBeUndefined()
      }
    }
  }

  on(host: string): NodePlace[] {
    return membersOf(this.document()).filter((place) => place.host === host)
  }

  async end(): Promise<void> {
    await this.simulation.settle({ withinTurns: 4000, withinMs: 200_000 })
    expect(this.simulation.violations, this.simulation.tellStory(200)).toEqual([])
    this.simulation.close()
  }
}

const victims: readonly [string, Readonly<Record<string, unknown>>, string][] = [
  ['cache', cache, 'b'],
  ['durable', durable, 'b'],
]

test.each(victims)(
  'a host that is lost for longer has its copies made anew, and keeps none (%s)',
  async (_, spec, host) => {
    for (const seed of seeds) {
      const day = await Day.begin(seed, spec)
      const had = day.on(host).length
      const { lastNode: before = 0 } = day.document()
      day.ways('cut', host)
      await day.advance(60_000)
      expect(day.on(host), day.simulation.tellStory()).toEqual([])
      expect((day.document().lastNode ?? 0) - Math.max(before, membersOf(day.document()).length)).toBeLessThanOrEqual(
        had,
      )
      day.ways('mend', host)
      await day.advance(100_000)
      expect(day.document().nodes.filter((place) => place.host === host)).toEqual([])
      await day.end()
    }
  },
)

test.each(victims)('a host that is back in time keeps its copies (%s)', async (_, spec, host) => {
  for (const seed of seeds) {
    const day = await Day.begin(seed, spec)
    const had = day.on(host)
    day.ways('cut', host)
    await day.advance(15_000)
    day.ways('mend', host)
    await day.advance(30_000)
    expect(day.on(host), day.simulation.tellStory()).toEqual(had)
    await day.end()
  }
})

/** As `holdfast remove-host` edits it, with nothing but the store. */
async function takeOff(day: Day, host: string): Promise<void> {
  const document = day.document()
  const { hosts: named } = document.spec as { hosts: readonly { name: string }[] }
  await day.save({
    ...document,
    spec: { ...document.spec, hosts: named.filter(({ name }) => name !== host) },
    specRevision: document.specRevision + 1,
    nodes: document.nodes.map((place) => (place.host === host ? { ...place, drained: true } : place)),
  })
}

test.each(victims)(
  'a living host that is taken off keeps nothing, and no write is lost (%s)',
  async (_, spec, host) => {
    for (const seed of seeds) {
      const day = await Day.begin(seed, spec)
      await takeOff(day, host)
      await day.advance(160_000)
      expect(day.document().nodes.filter((place) => place.host === host)).toEqual([])
      await day.end()
    }
  },
)

test('a lost host that is taken off is not waited for, and is nobody when it is back', async () => {
  for (const seed of seeds) {
    const day = await Day.begin(seed, { ...cache, placement: { remakeAfter: 'off' } })
    day.ways('cut', 'b')
    await day.advance(10_000)
    expect(day.on('b')).not.toEqual([])
    await takeOff(day, 'b')
    await day.advance(200_000)
    expect(day.document().nodes.filter((place) => place.host === 'b')).toEqual([])
    day.simulation.close()
  }
})

test('controllers that are killed again and again do not count what they have not seen', async () => {
  const day = await Day.begin(seeds[0] ?? 1, cache)
  const had = day.on('b')
  day.ways('cut', 'b')
  for (let times = 0; times < 4; times++) {
    await day.advance(15_000)
    day.simulation.replaceController()
  }
  expect(day.on('b'), day.simulation.tellStory()).toEqual(had)
  await day.advance(60_000)
  expect(day.on('b'), day.simulation.tellStory()).toEqual([])
  day.ways('mend', 'b')
  await day.end()
})

test('a controller that is cut off itself, or stands still, makes nothing anew', async () => {
  for (const seed of seeds) {
    const day = await Day.begin(seed, cache)
    const before = day.document().nodes
    for (const name of names) {
      day.simulation.inject({ kind: 'cut', from: controllerSite, to: name })
      day.simulation.inject({ kind: 'cut', from: name, to: controllerSite })
    }
    await day.advance(40_000)
    for (const name of names) {
      day.simulation.inject({ kind: 'mend', from: controllerSite, to: name })
      day.simulation.inject({ kind: 'mend', from: name, to: controllerSite })
      await day.advance(1000)
    }
    await day.simulation.live([{ at: 0, fault: { kind: 'pause-controller', forMs: 40_000 } }])
    await day.advance(50_000)
    expect(day.document().nodes, day.simulation.tellStory()).toEqual(before)
    await day.end()
  }
})

test('a host that comes and goes does not have its copies made again and again', async () => {
  const day = await Day.begin(seeds[0] ?? 1, cache)
  const had = day.on('b').length
  for (let times = 0; times < 4; times++) {
    day.ways('cut', 'b')
    await day.advance(45_000)
    day.ways('mend', 'b')
    await day.advance(15_000)
  }
  expect((day.document().lastNode ?? 0) - 6, day.simulation.tellStory()).toBeLessThanOrEqual(had)
  await day.end()
})
