/*
 * The controller is killed once at every step of each operation: after each save of the document, before anything of
 * it is done, and after each action that the agent accepted, before the controller hears of it. The next controller
 * carries on, and everything ends as it would have. `STEP=… npm test` runs one of them.
 */
import type { SpecText } from '@holdfast/core'
import { expect, test } from 'vitest'
import { membersOf } from './deployment-loop.ts'
import { letsIn, sha256 } from './memory/access.ts'
import { isServing, ownsSlots } from './memory/node.ts'
import type { DayOptions } from './operated-day.ts'
import { OperatedDay } from './operated-day.ts'

interface Operated {
  readonly what: string
  readonly fields?: SpecText
  readonly options?: DayOptions
  /** What comes before it. */
  readonly prepare?: (day: OperatedDay) => Promise<void>
  readonly begin: (day: OperatedDay) => void
  /** Who is killed at that step. Default: the controller. */
  readonly victim?: string
  readonly isOver: (day: OperatedDay) => boolean
  /** Only every so many steps, where what is done is done elsewhere too. Default: each. */
  readonly stride?: number
}

const isDone = (day: OperatedDay): boolean => day.operation()?.state === 'done'
const isLatestDone = (day: OperatedDay): boolean => day.latest()?.state === 'done'
const scaling: DayOptions = {
  mayCome: 2,
  probes: { first: 4700, second: 12_000 },
  moving: [
    [4698, 4701],
    [11_999, 12_001],
  ],
}
const withFour = async (day: OperatedDay): Promise<void> => {
  day.scale('before', { coming: ['shard-4'] })
  while (!isLatestDone(day)) await day.simulation.advance(250)
  await day.simulation.settle({ withinTurns: 1000 })
}
const hasLeft = (day: OperatedDay): boolean => isLatestDone(day) && membersOf(day.document()).length === 6
const isSettled = (day: OperatedDay): boolean => day.document().settledRevision === day.document().specRevision
const users = ['app', 'replication', 'probe', 'admin']
const newer = { flavor: 'redis', version: '7.2.5' } as const

const operated: readonly Operated[] = [
  { what: 'a switchover', begin: (day) => day.ask({ kind: 'switchover', subject: 'shard-2' }), isOver: isDone },
  { what: 'a restart of a shard', begin: (day) => day.ask({ kind: 'restart', subject: 'shard-1' }), isOver: isDone },
  {
    what: 'an upgrade',
    begin: (day) => {
      day.wantInstead({ engine: newer })
      day.ask({ kind: 'upgrade', subject: 'shop', engine: newer })
    },
    isOver: isDone,
    stride: 3,
  },
  {
    what: 'a rotation',
    begin: (day) => day.ask({ kind: 'rotate', subject: 'shop', users, graceMs: 1000 }),
    isOver: isDone,
  },
  {
    what: 'the replacement of a replica',
    begin: (day) => day.ask({ kind: 'replace', subject: 'node-5' }),
    isOver: isDone,
  },
  {
    what: 'the replacement of a primary',
    begin: (day) => day.ask({ kind: 'replace', subject: 'node-1' }),
    isOver: isDone,
  },
  {
    what: 'a spare in the place of a node',
    fields: { spares: 1 },
    begin: ({ simulation }) => {
      simulation.inject({ kind: 'break-starts', node: 'node-5', times: 1000, error: 'Out of memory' })
      simulation.inject({ kind: 'kill', nodes: ['node-5'] })
    },
    isOver: (day) => day.document().nodes.some(({ id, leaving }) => id === 'node-5' && leaving?.forgottenAt != null),
  },
  {
    what: 'a change from snapshots to a log',
    fields: { persistence: 'rdb' },
    begin: (day) => day.wantInstead({ persistence: 'hybrid' }),
    isOver: isSettled,
  },
  {
    what: 'a change from a log to snapshots',
    begin: (day) => day.wantInstead({ persistence: 'rdb' }),
    isOver: isSettled,
  },
  {
    what: 'one more copy of a shard',
    begin: (day) => day.wantInstead({ shardOverrides: { 1: { replicas: 2 } } }),
    isOver: isSettled,
  },
  {
    what: 'one copy fewer of a shard',
    fields: { shardOverrides: { 1: { replicas: 2 } } },
    begin: (day) => day.wantInstead({ shardOverrides: {} }),
    isOver: (day) => isSettled(day) && membersOf(day.document()).length === 6,
  },
  ...['controller', 'node-1', 'node-7'].flatMap((victim): Operated[] => [
    {
      what: `a shard that comes, and a kill of ${victim}`,
      victim,
      options: scaling,
      begin: (day) => day.scale('out', { coming: ['shard-4'] }),
      isOver: isLatestDone,
      stride: 4,
    },
    {
      what: `a shard that goes, and a kill of ${victim}`,
      victim,
      options: scaling,
      prepare: withFour,
      begin: (day) => day.scale('in', { going: ['shard-4'] }),
      isOver: hasLeft,
      stride: 3,
    },
  ]),
]

/** Kills the controller, or an engine, at this step from now on; answers how many steps there were. */
function killAt(killedAt: number, { simulation, store }: OperatedDay, victim: string): () => number {
  let steps = 0
  const step = (): void => {
    steps++
    if (steps !== killedAt) return
    if (victim === 'controller') simulation.replaceController()
    else simulation.inject({ kind: 'kill', nodes: [victim] })
  }
  const [save, accepted] = [store.save.bind(store), simulation.cluster.onAccepted]
  store.save = (document) => {
    const saved = save(document)
    step()
    return saved
  }
  simulation.cluster.onAccepted = (envelope) => {
    accepted(envelope)
    step()
  }
  return () => steps
}

const wanted = process.env['STEP']

/** What every day ends with, whoever was killed in it. */
async function comesToItsEnd(day: OperatedDay, { isOver }: Operated): Promise<void> {
  const { simulation } = day
  const began = simulation.cluster.now()
  while (!isOver(day)) {
    if (simulation.cluster.now() - began > 300_000) throw new Error(`not over\n${simulation.tellStory(60)}`)
    await simulation.advance(250)
    expect(whoLocksOut(day), simulation.tellStory(60)).toEqual([])
  }
  await simulation.settle({ withinTurns: 1000 })
  expect(simulation.violations, simulation.tellStory(60)).toEqual([])
}

/** Whoever asks for the password gets one that is valid wherever he writes, at any moment. */
function whoLocksOut(day: OperatedDay): string[] {
  const { cluster } = day.simulation
  const hash = sha256(day.document().secrets['app'] ?? '')
  const primaries = cluster.nodes.filter((node) => ownsSlots(node) && isServing(node, cluster.now()))
  return primaries.filter((node) => !letsIn(node, 'app', hash)).map(({ place }) => place.id)
}

test.each(operated)(
  '$what is carried on, at whichever step somebody is killed',
  async (one) => {
    const live = async (killedAt: number): Promise<number> => {
      const day = await OperatedDay.begin(one.fields ?? {}, 7, one.options)
      await one.prepare?.(day)
      await day.simulation.advance(3000)
      one.begin(day)
      const count = killAt(killedAt, day, one.victim ?? 'controller')
      await comesToItsEnd(day, one).catch((error: unknown) => {
        throw new Error(`STEP=${killedAt}: ${error instanceof Error ? error.message : String(error)}`)
      })
      day.simulation.close()
      return count()
    }
    const steps = await live(wanted === undefined ? 0 : Number(wanted))
    expect(steps).toBeGreaterThan(2)
    if (wanted !== undefined) return
    for (let killedAt = 1; killedAt <= steps; killedAt += one.stride ?? 1) await live(killedAt)
  },
  120_000,
)
