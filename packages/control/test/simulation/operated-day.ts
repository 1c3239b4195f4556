/* A deployment that has settled, and what people ask of it. */
import type { Document, Operation, OperationWish, SpecText } from '@holdfast/core'
import { admitNext, missingCopies, operationFor, parseSpec, placeMore, replaced, withOperations } from '@holdfast/core'
import type { MemoryStore } from '../../src/store/memory-store.ts'
import { deploymentLoops, membersOf, moreNodes, ownedNames } from './deployment-loop.ts'
import type { SharedStore } from './shared-store.ts'
import { Simulation } from './world.ts'

/** How many nodes may come to it. */
const mayCome = 3

export class OperatedDay {
  readonly simulation: Simulation
  readonly store: MemoryStore

  constructor(fields: SpecText, seed: number, shared?: SharedStore) {
    const spec = { name: 'shop', ...fields }
    const { makeTurner, store } = deploymentLoops(spec, shared?.base, shared && ((seat) => shared.of(seat)))
    this.store = store
    this.simulation = new Simulation({
      seed,
      makeTurner,
      spec,
      ownedDirectives: ownedNames(spec),
      writeEveryMs: 200,
      moreNodes: moreNodes(spec, mayCome),
      layout: () => membersOf(this.document()),
    })
  }

  static async begin(fields: SpecText, seed: number): Promise<OperatedDay> {
    const day = new OperatedDay(fields, seed)
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
