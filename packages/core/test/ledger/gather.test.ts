import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Clue, Gathering, Incident } from '../../src/index.ts'
import { gather, nothingGathered, openIncident } from '../../src/index.ts'
import { began, Day } from './a-day.ts'

function gatherAll(clues: readonly Clue[], from: Gathering = nothingGathered('shop')) {
  let gathering = from
  const ended: Incident[] = []
  for (const clue of clues) {
    const step = gather(gathering, clue)
    gathering = step.gathering
    ended.push(...step.ended)
  }
  return { gathering, ended, open: openIncident(gathering) }
}

const aCalmDay = () => new Day().turn().wait(1000).turn()

describe('a death', () => {
  test('is one incident, from the first sign to healed, told in the words of the loop', () => {
    const { ended, open } = gatherAll(aCalmDay().death('shard-1').calm().clues)
    expect(open).toBeNull()
    expect(ended).toEqual([
      {
        id: 'shop-1',
        deployment: 'shop',
        kind: 'death',
        beganAt: began + 1003,
        endedAt: began + 1004 + 2 + 15 + 2 + 40 + 300 + 2,
        shards: ['shard-1'],
        because: 'node-1 (primary of shard-1) is dead, node-4 is in sync: promoting it',
        timeline: [
          expect.objectContaining({ because: 'node-1 (primary of shard-1) is dead, node-4 is in sync: promoting it' }),
          expect.objectContaining({ because: 'starting node-1: node-4 is primary of shard-1' }),
          expect.objectContaining({ because: '3 shards, 6 of 6 nodes in sync' }),
        ],
        promotions: [{ shard: 'shard-1', from: 'node-1', to: 'node-4', offsetBefore: 1000, offsetAfter: 1000 }],
        possiblyLostBytes: 0,
        madeWorseBy: [],
        notWritableMs: { 'shard-1': 60 },
        drill: null,
      },
    ])
  })

  test('goes on until all is well', () => {
    const day = aCalmDay().die('node-1').turn('node-1 (primary of shard-1) is dead').calm(60)
    const { ended, open } = gatherAll(day.clues)
    expect(ended).toEqual([])
    expect(open).toMatchObject({ kind: 'death', endedAt: null })
  })

  test('tells the bytes that whoever took over lacked', () => {
    const day = aCalmDay()
    day.node('node-1').offset = 5000
    day.turn()
    day.node('node-4').offset = 4200
    const [incident] = gatherAll(day.death('shard-1').calm().clues).ended
    expect(incident).toMatchObject({ possiblyLostBytes: 800 })
    expect(incident?.promotions).toMatchObject([{ offsetBefore: 5000, offsetAfter: 4200 }])
  })

  test('does not compare offsets of different histories', () => {
    const day = aCalmDay()
    day.node('node-4').replid = 'of somebody else'
    expect(gatherAll(day.death('shard-1').calm().clues).ended).toMatchObject([{ possiblyLostBytes: null }])
  })

  test('of two primaries is one incident with two promotions', () => {
    const day = aCalmDay().die('node-1').die('node-2').turn('node-1 and node-2 are dead')
    day.wait(20).promote('shard-1').turn().wait(20).promote('shard-2').turn()
    day.restart('node-1').restart('node-2').wait(100).turn().calm()
    const { ended } = gatherAll(day.clues)
    expect(ended).toMatchObject([{ kind: 'death', shards: ['shard-1', 'shard-2'] }])
    expect(ended[0]?.promotions.map(({ to }) => to)).toEqual(['node-4', 'node-5'])
  })

  test('right after another is the same incident, and a minute later another one', () => {
    const soon = gatherAll(aCalmDay().death('shard-1').wait(500).death('shard-2').calm().clues)
    expect(soon.ended).toMatchObject([{ shards: ['shard-1', 'shard-2'] }])
    const late = gatherAll(aCalmDay().death('shard-1').calm(60).death('shard-2').calm().clues)
    expect(late.ended).toMatchObject([{ shards: ['shard-1'] }, { shards: ['shard-2'] }])
  })

  test('of a replica keeps nobody from writing, and is none', () => {
    const { ended, open } = gatherAll(
      aCalmDay().die('node-4').turn('node-4 is dead').calm().restart('node-4').calm().clues,
    )
    expect(ended).toEqual([])
    expect(open).toBeNull()
  })

  test('is seen by its pid where the same node came back before anybody looked; what it lacked is not known', () => {
    const { ended } = gatherAll(aCalmDay().die('node-1').restart('node-1').turn().calm().clues)
    expect(ended).toMatchObject([{ kind: 'death', because: 'node-1 was restarted', possiblyLostBytes: null }])
  })

  test('while no controller ran is found by the next one', () => {
    const before = gatherAll(aCalmDay().clues).gathering
    const later = aCalmDay().die('node-1').promote('shard-1').restart('node-1')
    later.clues.length = 0
    const { ended } = gatherAll(later.wait(60_000).turn().calm().clues, JSON.parse(JSON.stringify(before)))
    expect(ended).toMatchObject([
      {
        kind: 'death',
        because: 'node-4 is primary of shard-1, was node-1',
        possiblyLostBytes: null,
        promotions: [{ from: 'node-1', to: 'node-4', offsetAfter: null }],
      },
    ])
  })
})

describe('other incidents', () => {
  test('a freeze began with the last answer, and is explained by its proof', () => {
    const day = aCalmDay()
    day.node('node-2').state = 'silent'
    day.wait(900).turn('node-2 has not answered for 900 ms: suspicion only')
    day.wait(600).look('shard-2', 400, false)
    day.node('node-2').state = 'frozen'
    const proof = 'node-2 has not answered for 2 s and is stopped: frozen, killing it'
    day.wait(500).turn(proof)
    const { ended } = gatherAll(day.death('shard-2').calm().clues)
    expect(ended).toMatchObject([{ kind: 'freeze', because: proof, shards: ['shard-2'] }])
    expect(ended[0]?.beganAt).toBeLessThan(began + 1002 + 1100)
    expect(ended[0]?.timeline[0]?.because).toContain('suspicion only')
  })

  test('a shard that changes hands while its primary is well is a switchover', () => {
    const day = aCalmDay().promote('shard-1').turn('node-4 took over').calm()
    expect(gatherAll(day.clues).ended).toMatchObject([{ kind: 'switchover', possiblyLostBytes: null }])
  })

  test('a switchover that the loop asked for loses nothing: the engines wait for the last byte', () => {
    const day = aCalmDay()
    day.say('turn', 'shop', 'handing shard-1 over to node-4')
    day.say('action', 'node-4', 'hand over to node-4')
    const { ended } = gatherAll(day.promote('shard-1').turn().calm().clues)
    expect(ended).toMatchObject([{ kind: 'switchover', possiblyLostBytes: 0 }])
  })

  test("a shard that changes hands while its primary is busy is the engines' own failover, and an outage", () => {
    const day = aCalmDay()
    day.node('node-1').state = 'busy'
    day.turn('node-1 is busy').promote('shard-1').turn()
    day.node('node-1').state = 'ok'
    expect(gatherAll(day.turn().calm().clues).ended).toMatchObject([{ kind: 'outage' }])
  })

  test('an outage is what the probe saw, also where the loop is content', () => {
    const day = aCalmDay().wait(300)
    day.say('probe', 'shard-3', 'shard-3 cannot be written to: MISCONF')
    day.look('shard-3', 300, false).wait(500).look('shard-3', 500, false).wait(10).look('shard-3', 10, true)
    const { ended } = gatherAll(day.calm().clues)
    expect(ended).toMatchObject([
      {
        kind: 'outage',
        because: 'shard-3 cannot be written to: MISCONF',
        beganAt: began + 1002 + 2,
        endedAt: began + 1004 + 300 + 510,
        notWritableMs: { 'shard-3': 800 },
        possiblyLostBytes: 0,
      },
    ])
  })

  test('a stumble of the probe is counted, and is no incident', () => {
    const { ended, open } = gatherAll(aCalmDay().look('shard-1', 120, false).look('shard-1', 5, true).calm().clues)
    expect(ended).toEqual([])
    expect(open).toBeNull()
  })

  test('a loss is one by the word of the loop', () => {
    const day = aCalmDay().die('node-1')
    const loss = 'shard-1: possible loss of 3 KB, promoting node-4 since node-1 does not come back'
    day.say('turn', 'shop', loss)
    day.say('loss', 'shard-1', loss)
    const { ended } = gatherAll(day.turn().promote('shard-1').turn().restart('node-1').calm().clues)
    expect(ended).toMatchObject([{ kind: 'loss', because: loss, id: 'shop-1' }])
  })
})

describe('what is none', () => {
  test('being created', () => {
    const day = new Day().die('node-1').die('node-4').turn('starting node-1').restart('node-1').turn().restart('node-4')
    expect(gatherAll(day.calm().clues)).toMatchObject({ ended: [], open: null })
  })

  test('being taken down and up again', () => {
    const day = aCalmDay()
    day.wanted = 'down'
    for (const { id } of day.nodes) day.die(id)
    day.calm()
    day.wanted = 'up'
    day.turn('starting node-1')
    for (const { id } of day.nodes) day.restart(id).wait(100).turn()
    expect(gatherAll(day.calm().clues)).toMatchObject({ ended: [], open: null })
  })

  test('what a controller sees that only stands by', () => {
    const day = aCalmDay()
    day.lease = 'lost'
    expect(gatherAll(day.death('shard-1').calm().clues)).toMatchObject({ ended: [], open: null })
  })
})

describe('a fault', () => {
  test('is the cause of what begins while it lasts', () => {
    const day = aCalmDay()
    day.say('drill', 'node-1', 'SIGKILL to node-1 (primary of shard-1)', 'fault-7')
    const [incident] = gatherAll(day.wait(30).death('shard-1').calm().clues).ended
    expect(incident).toMatchObject({ drill: 'fault-7', id: 'shop-2' })
    expect(incident?.timeline[0]?.because).toBe('SIGKILL to node-1 (primary of shard-1)')
  })

  test('is the cause also where it is told a moment after the world shows it', () => {
    const day = aCalmDay().die('node-1').turn('node-1 is dead').wait(20)
    day.say('drill', 'node-1', 'SIGKILL to node-1 (primary of shard-1)', 'fault-7')
    expect(gatherAll(day.clues).open).toMatchObject({ drill: 'fault-7' })
  })

  test('is the cause, and not the one before it, also where that one has no end', () => {
    const day = aCalmDay()
    day.say('drill', 'node-3', 'SIGKILL to node-3 (primary of shard-3)', 'fault-6')
    const soon = day.wait(500).turn().calm(10)
    soon.say('drill', 'node-1', 'SIGKILL to node-1 (primary of shard-1)', 'fault-7')
    expect(gatherAll(soon.wait(30).death('shard-1').calm().clues).ended).toMatchObject([{ drill: 'fault-7' }])

    const late = aCalmDay()
    late.say('drill', 'node-3', 'SIGKILL to node-3 (primary of shard-3)', 'fault-6')
    late.calm(10).die('node-1').turn('node-1 is dead').wait(20)
    late.say('drill', 'node-1', 'SIGKILL to node-1 (primary of shard-1)', 'fault-7')
    const { open } = gatherAll(late.clues)
    expect(open?.drill).toBe('fault-7')
    expect(open?.timeline.map(({ because }) => because)).toEqual([
      'node-1 is dead',
      'SIGKILL to node-1 (primary of shard-1)',
    ])
  })

  test('is not the cause of what begins a minute after it was healed', () => {
    const day = aCalmDay()
    day.say('drill', 'node-1', 'SIGSTOP to node-1', 'fault-7')
    day.wait(1000).say('drill', 'node-1', 'node-1 goes on', 'fault-7')
    expect(gatherAll(day.calm(60).death('shard-2').calm().clues).ended).toMatchObject([{ drill: null }])
  })
})

type Deed = (day: Day) => void
const shards = ['shard-1', 'shard-2', 'shard-3'] as const

/** Anything may happen to anybody, and all of it in between may be looked at or not. */
const deeds: fc.Arbitrary<Deed[]> = fc.array(
  fc.oneof(
    fc.constantFrom(...shards).map(
      (shard): Deed =>
        (day) =>
          day.primaries.get(shard) && day.death(shard),
    ),
    fc.integer({ min: 1, max: 6 }).map(
      (number): Deed =>
        (day) =>
          day.die(`node-${number}`),
    ),
    fc.integer({ min: 1, max: 6 }).map(
      (number): Deed =>
        (day) =>
          day.restart(`node-${number}`),
    ),
    fc.constantFrom(...shards).map(
      (shard): Deed =>
        (day) =>
          day.promote(shard),
    ),
    fc.constant<Deed>((day) => day.turn('something is done')),
    fc.integer({ min: 1, max: 90 }).map(
      (seconds): Deed =>
        (day) =>
          day.calm(seconds),
    ),
    fc.tuple(fc.constantFrom(...shards), fc.integer({ min: 1, max: 5000 }), fc.boolean()).map(
      ([shard, ms, writable]): Deed =>
        (day) =>
          day.wait(ms).look(shard, ms, writable),
    ),
    fc.constantFrom(...shards).map(
      (shard): Deed =>
        (day) =>
          day.say('loss', shard, `${shard}: possible loss`),
    ),
    fc.constantFrom('a', 'b').map(
      (id): Deed =>
        (day) =>
          day.say('drill', 'node-1', 'a fault', id),
    ),
    fc.constantFrom<Deed>(
      (day) => (day.wanted = 'down'),
      (day) => (day.wanted = 'up'),
      (day) => (day.lease = 'lost'),
      (day) => (day.lease = 'held'),
    ),
  ),
  { maxLength: 30 },
)

function live(all: readonly Deed[]): Day {
  const day = aCalmDay()
  for (const deed of all) deed(day)
  return day
}

/** All is well, and stays so. */
function heal(day: Day): Day {
  Object.assign(day, { wanted: 'up', lease: 'held' })
  for (const node of day.nodes) if (node.state !== 'ok') day.restart(node.id)
  for (const shard of shards) day.wait(5).look(shard, 5, true)
  return day.turn().calm(4)
}

describe('laws', () => {
  test('an incident ends', () => {
    fc.assert(
      fc.property(deeds, (all) => {
        expect(gatherAll(heal(live(all)).clues).open).toBeNull()
      }),
    )
  })

  test('a controller that takes over in the middle goes on from what was saved', () => {
    fc.assert(
      fc.property(deeds, fc.nat(), (all, at) => {
        const { clues } = heal(live(all))
        const cut = at % (clues.length + 1)
        const first = gatherAll(clues.slice(0, cut))
        const second = gatherAll(clues.slice(cut), JSON.parse(JSON.stringify(first.gathering)))
        expect([...first.ended, ...second.ended]).toEqual(gatherAll(clues).ended)
      }),
    )
  })

  test('events that are read again after a restart change nothing', () => {
    fc.assert(
      fc.property(deeds, (all) => {
        const { clues } = live(all)
        const { gathering } = gatherAll(clues)
        const events = clues.filter(({ kind }) => kind === 'event')
        expect(gatherAll(events, gathering).gathering).toEqual(gathering)
      }),
    )
  })

  test('each incident has a name of its own, ends no sooner than it began, and says why', () => {
    fc.assert(
      fc.property(deeds, (all) => {
        const { ended } = gatherAll(heal(live(all)).clues)
        expect(new Set(ended.map(({ id }) => id)).size).toBe(ended.length)
        for (const { beganAt, endedAt, because, timeline, shards: ofIncident, promotions } of ended) {
          expect(endedAt).toBeGreaterThanOrEqual(beganAt)
          expect(because).not.toBe('')
          expect(timeline.map(({ at }) => at)).toEqual(timeline.map(({ at }) => at).sort((a, b) => a - b))
          expect(promotions.every(({ shard }) => ofIncident.includes(shard))).toBe(true)
        }
      }),
    )
  })

  test('how looks of different shards follow each other makes no difference', () => {
    const looks = fc.array(fc.tuple(fc.constantFrom(...shards), fc.integer({ min: 1, max: 90 })), {
      minLength: 1,
      maxLength: 8,
    })
    fc.assert(
      fc.property(looks, (some) => {
        const clues = some.map(([shard, ms]): Clue => {
          return { kind: 'look', look: { shard, from: began + 2000, to: began + 2000 + ms, writable: false } }
        })
        const start = gatherAll(aCalmDay().die('node-1').turn('node-1 is dead').clues).gathering
        const one = gatherAll(clues, start).open
        const other = gatherAll([...clues].reverse(), start).open
        expect(other?.notWritableMs).toEqual(one?.notWritableMs)
        expect(other?.shards).toEqual(one?.shards)
      }),
    )
  })
})
