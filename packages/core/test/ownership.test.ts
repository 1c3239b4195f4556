import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ClusterView, SlotRange, ViewEntry } from '../src/index.ts'
import { countSlots, hasSlot, hearsayOwner, normalizeSlots, slotCountTotal, slotOwners } from '../src/index.ts'
import { anEntry } from './support/deployment.ts'

const aView = (me: string, ...entries: readonly ViewEntry[]): ClusterView => ({ me, entries, open: [] })
const primary = (engineId: string, configEpoch: number, ...slots: readonly SlotRange[]): ViewEntry =>
  anEntry({ engineId, configEpoch, slots })

describe('who owns which slot', () => {
  test('an engine that answers speaks for itself, whatever others still say of it', () => {
    const { owners } = slotOwners([
      aView('a', primary('a', 1, [0, 99]), primary('b', 2, [100, 199])),
      aView('b', primary('a', 1, [0, 50]), primary('b', 2, [100, 150])),
    ])
    expect(owners).toEqual([
      { engineId: 'b', epoch: 2, slots: [[100, 150]] },
      { engineId: 'a', epoch: 1, slots: [[0, 99]] },
    ])
  })

  test('for one that does not answer, the newest word of the others counts', () => {
    const { owners } = slotOwners([
      aView('b', primary('a', 1, [0, 50]), primary('b', 2)),
      aView('c', primary('a', 3, [0, 80]), primary('c', 4)),
    ])
    expect(owners).toEqual([{ engineId: 'a', epoch: 3, slots: [[0, 80]] }])
  })

  test('a former primary that comes back takes nothing from who was promoted in its place', () => {
    const { owners } = slotOwners([
      aView('old', primary('old', 1, [0, 99]), primary('new', 0)),
      aView('new', primary('old', 1), primary('new', 7, [0, 99])),
    ])
    expect(owners).toEqual([{ engineId: 'new', epoch: 7, slots: [[0, 99]] }])
  })

  test('of an overlap the higher epoch has all, the lower the rest', () => {
    const { owners } = slotOwners([aView('a', primary('a', 1, [0, 99])), aView('b', primary('b', 2, [50, 60]))])
    expect(owners).toEqual([
      { engineId: 'b', epoch: 2, slots: [[50, 60]] },
      {
        engineId: 'a',
        epoch: 1,
        slots: [
          [0, 49],
          [61, 99],
        ],
      },
    ])
  })

  test('where two of one epoch claim the same, the lower id has it, for every planner alike', () => {
    const views = [aView('b', primary('b', 3, [0, 9])), aView('a', primary('a', 3, [0, 9]))]
    expect(slotOwners(views).owners).toEqual([{ engineId: 'a', epoch: 3, slots: [[0, 9]] }])
    expect(slotOwners([...views].reverse())).toEqual(slotOwners(views))
  })

  test('what nobody claims has no owner; of nobody, nothing is known', () => {
    expect(slotOwners([aView('a', primary('a', 1, [0, 99], [200, 16383]))]).unowned).toEqual([[100, 199]])
    expect(slotOwners([])).toEqual({ owners: [], unowned: [[0, 16383]] })
  })
})

describe('who is still named as the owner of a slot', () => {
  test('the newest word', () => {
    const views = [aView('a', primary('x', 1, [0, 9])), aView('b', primary('y', 2, [5, 9]))]
    expect(hearsayOwner(views, 5)).toBe('y')
    expect(hearsayOwner(views, 4)).toBe('x')
    expect(hearsayOwner(views, 10)).toBeUndefined()
  })
})

/* Few engines, few epochs and a small space, so that claims meet, touch and contradict each other often. */
const ids = ['a', 'b', 'c', 'd']
const range = fc.tuple(fc.nat(30), fc.nat(8)).map(([from, more]): SlotRange => [from, from + more])
const entries = fc
  .uniqueArray(
    fc.record({ engineId: fc.constantFrom(...ids), configEpoch: fc.nat(3), slots: fc.array(range, { maxLength: 3 }) }),
    { selector: ({ engineId }) => engineId },
  )
  .map((some) => some.map((one) => anEntry({ ...one, slots: normalizeSlots(one.slots) })))
const views = fc.uniqueArray(
  fc.tuple(fc.constantFrom(...ids), entries).map(([me, known]) => aView(me, ...known)),
  { selector: ({ me }) => me },
)

/** The claims that count, slot by slot: the dumb version of who may own a slot. */
function claimants(of: readonly ClusterView[], slot: number): { engineId: string; epoch: number }[] {
  return of.flatMap((view) =>
    view.entries
      .filter((entry) => entry.engineId === view.me || !of.some((other) => other.me === entry.engineId))
      .filter((entry) => hasSlot(entry.slots, slot))
      .map(({ engineId, configEpoch }) => ({ engineId, epoch: configEpoch })),
  )
}

const ownerOf = (of: readonly ClusterView[], slot: number): string | undefined =>
  slotOwners(of).owners.find(({ slots }) => hasSlot(slots, slot))?.engineId

describe('laws of ownership', () => {
  test('no slot has two owners, and every slot has one or is said to have none', () => {
    fc.assert(
      fc.property(views, (some) => {
        const { owners, unowned } = slotOwners(some)
        const counted = owners.reduce((sum, { slots }) => sum + countSlots(slots), countSlots(unowned))
        expect(counted).toBe(slotCountTotal)
        expect(normalizeSlots([...owners.flatMap(({ slots }) => slots), ...unowned])).toEqual([[0, 16383]])
      }),
    )
  })

  test('who speaks for itself and is outdone by nobody owns what it claims', () => {
    fc.assert(
      fc.property(views, fc.nat(40), (some, slot) => {
        const speaking = some.flatMap(({ me, entries: known }) => known.filter(({ engineId }) => engineId === me))
        for (const entry of speaking.filter(({ slots }) => hasSlot(slots, slot))) {
          const isOutdone = claimants(some, slot).some(
            (other) => other.engineId !== entry.engineId && other.epoch >= entry.configEpoch,
          )
          if (!isOutdone) expect(ownerOf(some, slot)).toBe(entry.engineId)
        }
      }),
    )
  })

  test('an owner is somebody who claims it, and no owner means that nobody who speaks does', () => {
    fc.assert(
      fc.property(views, fc.nat(40), (some, slot) => {
        const owner = ownerOf(some, slot)
        const claiming = claimants(some, slot).map(({ engineId }) => engineId)
        if (owner !== undefined) expect(claiming).toContain(owner)
        else expect(claiming.filter((id) => some.some(({ me }) => me === id))).toEqual([])
      }),
    )
  })

  test('the order of the views does not matter', () => {
    fc.assert(
      fc.property(
        views.chain((some) => fc.tuple(fc.constant(some), shuffled(some))),
        ([some, other]) => {
          expect(slotOwners(other)).toEqual(slotOwners(some))
        },
      ),
    )
  })
})

const shuffled = <T>(some: readonly T[]): fc.Arbitrary<T[]> =>
  fc.shuffledSubarray([...some], { minLength: some.length, maxLength: some.length })
