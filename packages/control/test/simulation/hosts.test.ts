/* The real loop and the real watch of each agent, on three hosts whose ways are cut. `SEED=… npm test` brings a day back. */
import { expect, test } from 'vitest'
import { deploymentLoops, ownedNames } from './deployment-loop.ts'
import { controllerSite } from './memory/memory-agent.ts'
import { Simulation } from './world.ts'

const given = process.env['SEED']
const seeds = given === undefined ? Array.from({ length: 2 }, (_, index) => index + 1) : [Number(given)]
const hosts = 3
const cache = { name: 'shop' }
const durable = {
  name: 'shop',
  durability: 'durable',
  replicasPerShard: 2,
  memory: { maxPerNode: '256mb', policy: 'noeviction' },
}

async function aReadyOne(seed: number, spec: Readonly<Record<string, unknown>> = cache): Promise<Simulation> {
  const { makeTurner } = deploymentLoops(spec, undefined, undefined, hosts)
  // A lease of 1.5 s, and a second in which a link may be lost before its host is.
  const limits = { doubleWritersMs: 300, leaseLossMs: 2500 }
  const simulation = new Simulation({ seed, makeTurner, spec, hosts, ownedDirectives: ownedNames(spec), limits })
  simulation.addController()
  await simulation.settle({ withinTurns: 400 })
  return simulation
}

const others = ['b', 'c']

/** Cuts both ways between a host and each of these, or mends them. */
function ways(simulation: Simulation, kind: 'cut' | 'mend', beyond: readonly string[], host = 'a'): void {
  for (const other of beyond) {
    simulation.inject({ kind, from: host, to: other })
    simulation.inject({ kind, from: other, to: host })
  }
}

const isFenced = ({ cluster }: Simulation): boolean =>
  cluster.nodes.some(({ fence, place }) => fence !== null && place.host === 'a')

test.each([
  ['cache', cache],
  ['durable', durable],
])(
  'a host that is cut off from all loses its primary within 4 s, and is whole again after it (%s)',
  async (_, spec) => {
    for (const seed of seeds) {
      const simulation = await aReadyOne(seed, spec)
      const { cluster } = simulation
      ways(simulation, 'cut', [...others, controllerSite])
      await simulation.advance(4000)
      expect(cluster.ownerOf('shard-1')?.place.host, simulation.tellStory()).not.toBe('a')
      expect(cluster.promotions.at(-1)?.how, simulation.tellStory()).not.toBe('own election')
      expect(isFenced(simulation)).toBe(true)
      await simulation.advance(3000)
      ways(simulation, 'mend', [...others, controllerSite])
      await simulation.settle({ withinTurns: 2000, withinMs: 60_000 })
      expect(isFenced(simulation), simulation.tellStory()).toBe(false)
      expect(simulation.violations, simulation.tellStory(200)).toEqual([])
      simulation.close()
    }
  },
)

test.each([
  ['the controller alone', [controllerSite]],
  ['one peer alone', ['b']],
  ['one peer and the controller', ['b', controllerSite]],
])('a host that is cut off from %s fences nothing, and loses nothing', async (_, beyond) => {
  for (const seed of seeds) {
    const simulation = await aReadyOne(seed)
    ways(simulation, 'cut', beyond)
    await simulation.advance(4500)
    expect(isFenced(simulation), simulation.tellStory()).toBe(false)
    expect(simulation.cluster.ownerOf('shard-1')?.place.host, simulation.tellStory()).toBe('a')
    ways(simulation, 'mend', beyond)
    await simulation.settle({ withinTurns: 2000, withinMs: 60_000 })
    expect(simulation.violations, simulation.tellStory(200)).toEqual([])
    simulation.close()
  }
})

test('a host that only its peers have lost is told to stop, and loses its primary', async () => {
  for (const seed of seeds) {
    const simulation = await aReadyOne(seed)
    ways(simulation, 'cut', others)
    await simulation.advance(4500)
    expect(simulation.cluster.ownerOf('shard-1')?.place.host, simulation.tellStory()).not.toBe('a')
    expect(simulation.cluster.promotions.at(-1)?.how, simulation.tellStory()).not.toBe('own election')
    ways(simulation, 'mend', others)
    await simulation.settle({ withinTurns: 2000, withinMs: 60_000 })
    expect(simulation.violations, simulation.tellStory(200)).toEqual([])
    simulation.close()
  }
})

test('a frozen agent whose engines answer costs nothing: nobody is promoted', async () => {
  for (const seed of seeds) {
    const simulation = await aReadyOne(seed)
    const before = simulation.cluster.promotions.length
    simulation.agents.get('a')?.freeze(10_000)
    await simulation.advance(12_000)
    expect(simulation.cluster.promotions.length, simulation.tellStory()).toBe(before)
    await simulation.settle({ withinTurns: 2000, withinMs: 60_000 })
    expect(simulation.violations, simulation.tellStory(200)).toEqual([])
    simulation.close()
  }
})

test.each([
  ['cache', cache],
  ['durable', durable],
])(
  'ways that are cut and mended by chance, one way and both: never two primaries that take writes (%s)',
  async (_, spec) => {
    for (const seed of seeds) {
      const simulation = await aReadyOne(seed, spec)
      const { random } = simulation
      const sites = ['a', 'b', 'c', controllerSite]
      const cut: { from: string; to: string }[] = []
      for (let step = 0; step < 25; step++) {
        const [from, to] = [random.pick(sites), random.pick(sites)]
        if (from !== to && cut.length < 6) {
          cut.push({ from, to })
          simulation.inject({ kind: 'cut', from, to })
          if (random.chance(0.6)) {
            cut.push({ from: to, to: from })
            simulation.inject({ kind: 'cut', from: to, to: from })
          }
        }
        // Ways that are cut one by one seldom leave a host with none, and only then is there a fence to rely on.
        if (random.chance(0.25)) {
          const host = random.pick(['a', 'b', 'c'])
          const beyond = sites.filter((site) => site !== host)
          ways(simulation, 'cut', beyond, host)
          await simulation.advance(random.between(2000, 6000))
          ways(simulation, 'mend', beyond, host)
        }
        if (random.chance(0.1)) simulation.replaceController()
        await simulation.advance(random.between(100, 3000))
        if (random.chance(0.5)) for (const way of cut.splice(0, 3)) simulation.inject({ kind: 'mend', ...way })
      }
      for (const way of cut) simulation.inject({ kind: 'mend', ...way })
      await simulation.settle({ withinTurns: 4000, withinMs: 200_000 })
      expect(simulation.violations, simulation.tellStory(200)).toEqual([])
      simulation.close()
    }
  },
  120_000,
)
