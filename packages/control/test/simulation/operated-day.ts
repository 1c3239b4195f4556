/* A deployment that has settled, and what people ask of it. */
import type { Assignment, Document, Operation, OperationWish, Scale, SlotRange, SpecText } from '@holdfast/core'
import {
  admitNext,
  ended,
  evenSlots,
  isUnfinished,
  missingCopies,
  operationFor,
  parseSpec,
  placeMore,
  placesOfShards,
  replaced,
  shardsOf,
  subtractSlots,
  withOperations,
} from '@holdfast/core'
import type { MemoryStore } from '../../src/store/memory-store.ts'
import { deploymentLoops, membersOf, moreNodes, ownedNames } from './deployment-loop.ts'
import type { SharedStore } from './shared-store.ts'
import { Simulation } from './world.ts'

/** How many nodes may come to it, where nobody says it. */
const mayCome = 3

export interface DayOptions {
  readonly shared?: SharedStore
  readonly mayCome?: number
  readonly probes?: Readonly<Record<string, number>>
  /** Which slots of the first shards move to those that come, all in all. Default: as many as even shares are. */
  readonly moving?: readonly SlotRange[]
}

export class OperatedDay {
  readonly simulation: Simulation
  readonly store: MemoryStore

  constructor(fields: SpecText, seed: number, options: DayOptions = {}) {
    const { shared } = options
    const spec = { name: 'shop', ...fields }
    const { makeTurner, store } = deploymentLoops(spec, shared?.base, shared && ((seat) => shared.of(seat)))
    this.store = store
    if (options.moving !== undefined) moveOnly(options.moving, store)
    this.simulation = new Simulation({
      seed,
      makeTurner,
      spec,
      ownedDirectives: ownedNames(spec),
      writeEveryMs: 200,
      moreNodes: moreNodes(spec, options.mayCome ?? mayCome),
      ...(options.probes === undefined ? {} : { probes: options.probes }),
      layout: () => membersOf(this.document()),
    })
  }

  static async begin(fields: SpecText, seed: number, options: DayOptions = {}): Promise<OperatedDay> {
    const day = new OperatedDay(fields, seed, options)
    day.simulation.addController()
    await day.simulation.settle({ withinTurns: 400 })
    return day
  }

  document(): Document {
    const document = this.store.load('shop')
    if (document === undefined) throw new Error('there is no shop')
    return document
  }

  operation(): Operation | undefined {
    return this.document().operations[0]
  }

  /** What was asked for last. */
  latest(): Operation | undefined {
    return this.document().operations.at(-1)
  }

  /** As the operations' desk saves it: for shards that come there are places, and of those that go it is known which. */
  scale(id: string, { coming = [], going = [] }: { coming?: readonly string[]; going?: readonly string[] }): void {
    const before = this.document()
    const spec = parseSpec(before.spec)
    const places = placeMore(before, spec, placesOfShards(coming, spec), () => false)
    const shards = shardsOf(before.nodes).length + coming.length - going.length
    const wish: OperationWish = { kind: 'scale', id, subject: before.name, shards, places, going }
    const operation = operationFor(wish, 'ann', this.simulation.cluster.clock.wall())
    void this.store.save({ ...before, operations: withOperations(before.operations, [operation]) })
  }

  /** As the operations' desk ends it. */
  cancel(id: string): void {
    const before = this.document()
    const open = before.operations.filter((one) => one.id === id && isUnfinished(one))
    const over = open.map((one) => ended(one, 'cancelled', 'cancelled by ann', this.simulation.cluster.clock.wall()))
    void this.store.save({ ...before, operations: withOperations(before.operations, over) })
  }

  pids(): (number | undefined)[] {
    return this.simulation.cluster.nodes.flatMap(({ process }) => process?.pid ?? [])
  }

  /** As the operations' desk saves it. */
  ask(wish: Omit<OperationWish, 'id'>): void {
    const before = this.document()
    const shards = before.nodes.filter(({ id }) => wish.kind === 'replace' && id === wish.subject)
    const wishes = shards.map(({ shard }) => ({ shard }))
    const places = placeMore(before, parseSpec(before.spec), wishes, () => false)
    const operation = operationFor({ id: 'op', ...wish, places }, 'ann', this.simulation.cluster.clock.wall())
    const secrets = admitNext(before.secrets, wish.users ?? [], () => 'the second')
    void this.store.save({ ...before, secrets, operations: withOperations(before.operations, [operation]) })
  }

  /** As the controller saves an edit. */
  wantInstead(fields: SpecText): void {
    const before = this.document()
    const spec = { ...before.spec, ...fields }
    const parsed = parseSpec(spec)
    const more = placeMore(before, parsed, missingCopies(before, parsed), () => false)
    const places = more.map((place) => ({ id: place.id, place }))
    void this.store.save({ ...replaced(before, places), spec, specRevision: before.specRevision + 1 })
  }
}

/** A third of all slots, one by one, would take this world longer than all else that happens in it. */
function moveOnly(moving: readonly SlotRange[], store: MemoryStore): void {
  const save = store.save.bind(store)
  store.save = (document) => {
    const operations = document.operations.map((one) =>
      one.kind === 'scale' && one.wanted !== null && one.going.length === 0
        ? { ...one, wanted: sharedOut(one, moving) }
        : one,
    )
    return save({ ...document, operations })
  }
}

function sharedOut({ places }: Scale, moving: readonly SlotRange[]): Assignment {
  const coming = [...new Set(places.map(({ shard }) => shard))]
  return Object.fromEntries([
    ...evenSlots(3).map((range, index) => [`shard-${index + 1}`, subtractSlots([range], moving)]),
    ...coming.map((id, index) => [id, moving.filter((_, at) => at % coming.length === index)]),
  ])
}
