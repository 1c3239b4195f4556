/*
 * Two controllers and one store: at every call of it, before it is done and before its answer comes, the one who calls
 * is killed, paused until the other acts, or cut off from the store. Whatever was asked for comes to its end, the other
 * acts within seconds, and nothing happens that must not. `STEP=… SEED=… npm test` runs one of them.
 */
import { expect, test } from 'vitest'
import { endOfDay, planBadDay } from './bad-day.ts'
import type { SimulatedController } from './controller.ts'
import { OperatedDay } from './operated-day.ts'
import type { Moment } from './shared-store.ts'
import { SharedStore } from './shared-store.ts'

const wantedStep = process.env['STEP']
const wantedSeed = process.env['SEED']
const seeds = wantedSeed === undefined ? [1, 2, 3] : [Number(wantedSeed)]
/** Only every so many, each hurt and moment beginning at another one, so that together they are at every step. */
const stride = 4
const stepsOf = (last: number, first: number): number[] =>
  wantedStep === undefined
    ? Array.from({ length: last }, (_, index) => index + 1).filter((step) => step % stride === first % stride)
    : [Number(wantedStep)]

interface Shared {
  readonly day: OperatedDay
  readonly shared: SharedStore
}

async function twoControllers(seed: number): Promise<Shared> {
  let now = (): number => 0
  const shared = new SharedStore(() => now())
  const day = new OperatedDay({}, seed, { shared })
  now = () => day.simulation.cluster.now()
  day.simulation.addController()
  day.simulation.addController()
  await day.simulation.settle({ withinTurns: 800 })
  return { day, shared }
}

type Hurt = (one: SimulatedController, shared: Shared) => void

const hurts: Readonly<Record<string, Hurt>> = {
  killed: (one, { day }) => {
    one.kill()
    day.simulation.addController()
  },
  paused: (one, { day }) => {
    one.pause()
    day.simulation.cluster.later(8000, () => one.resume())
  },
  'cut off': (one, { day, shared }) => {
    shared.cut(one.id, day.simulation.cluster.now())
    day.simulation.cluster.later(8000, () => shared.mend(one.id))
  },
}

/** Lives until a restart of a shard and the healing of a node are over; answers how many steps there were. */
async function live(hurt: Hurt | undefined, moment: Moment, at: number): Promise<number> {
  const world = await twoControllers(7)
  const { day, shared } = world
  const { simulation } = day
  day.ask({ kind: 'restart', subject: 'shard-1' })
  simulation.inject({ kind: 'kill', nodes: ['node-2'] })
  let count = 0
  shared.onStep = (by, now) => {
    if (now !== moment || ++count !== at) return
    const one = simulation.controllers.find(({ id }) => id === by)
    if (one !== undefined) hurt?.(one, world)
  }
  const began = simulation.cluster.now()
  while (day.operation()?.endedAt == null) {
    if (simulation.cluster.now() - began > 120_000) throw new Error(`STEP=${at}: not over\n${simulation.tellStory(80)}`)
    await simulation.advance(250)
  }
  shared.onStep = () => undefined
  await simulation.advance(9000)
  await simulation.settle({ withinTurns: 1000 })
  expect(simulation.violations, `STEP=${at}\n${simulation.tellStory(80)}`).toEqual([])
  expect(day.operation(), simulation.tellStory(80)).toMatchObject({ state: 'done' })
  simulation.close()
  return count
}

for (const [first, [what, hurt]] of Object.entries(hurts).entries()) {
  for (const moment of ['asked', 'answered'] as const) {
    const when = moment === 'asked' ? 'before what it asks for is done' : 'before it hears that it is done'
    test(`whoever is ${what} ${when}, the other carries it on`, async () => {
      const last = await live(undefined, moment, 0)
      expect(last).toBeGreaterThan(10)
      for (const at of stepsOf(last, moment === 'asked' ? first : first + 2)) await live(hurt, moment, at)
    }, 120_000)
  }
}

test('whoever acts and is killed is replaced within five seconds', async () => {
  const { day } = await twoControllers(3)
  const { simulation } = day
  await simulation.advance(5000)
  const acting = simulation.controllers[0]
  acting?.kill()
  simulation.inject({ kind: 'kill', nodes: ['node-4'] })
  await simulation.advance(5000)
  const runs = simulation.cluster.nodes.filter(({ process }) => process !== null).length
  expect(runs, simulation.tellStory(30)).toBe(6)
  simulation.close()
})

test('with both cut off nobody acts once the lease is over, and they go on when one hears the store again', async () => {
  const { day, shared } = await twoControllers(4)
  const { simulation } = day
  for (const { id } of simulation.controllers) shared.cut(id, simulation.cluster.now())
  await simulation.advance(6000)
  simulation.inject({ kind: 'kill', nodes: ['node-5'] })
  await simulation.advance(10_000)
  const runs = () => simulation.cluster.nodes.filter(({ process }) => process !== null).length
  expect(runs(), simulation.tellStory(30)).toBe(5)
  shared.mend(simulation.controllers[1]?.id ?? '')
  await simulation.settle({ withinTurns: 500 })
  expect(runs(), simulation.tellStory(30)).toBe(6)
  expect(simulation.violations).toEqual([])
  simulation.close()
})

test('on a bad day of two controllers, their store and their engines, nothing happens that must not', async () => {
  for (const seed of seeds) {
    const { day, shared } = await twoControllers(seed)
    const { simulation } = day
    const { random, nodes, cluster } = simulation
    for (let cuts = 0; cuts < 6; cuts++) {
      cluster.later(random.between(0, 20_000), () => {
        const one = random.pick(simulation.controllers)
        shared.cut(one.id, cluster.now())
        cluster.later(random.between(500, 8000), () => shared.mend(one.id))
      })
    }
    day.ask({ kind: 'restart', subject: 'shop' })
    await simulation.live(planBadDay({ random, nodes, forMs: 20_000, faults: 6 }))
    for (const fault of endOfDay(nodes)) simulation.inject(fault)
    await simulation.advance(10_000)
    await simulation.settle({ withinTurns: 3000, withinMs: 400_000 })
    expect(simulation.violations, simulation.tellStory(200)).toEqual([])
    simulation.close()
  }
}, 120_000)
