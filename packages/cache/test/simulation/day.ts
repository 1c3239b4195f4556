/**
 * A day of a few processes over one engine, drawn from a seed: plain data, so that a day can be told, lived again, and
 * lived with steps left out until the shortest story remains.
 */
import type { CacheOptions } from '../../src/options.ts'
import { Dice } from './dice.ts'

/** Keys with the tags that they are written with. `stored` is written through and has no tags. */
export const tagsOf = { a: ['red'], b: ['red', 'blue'], c: [], stored: [] } as const satisfies Record<string, string[]>
export type Key = keyof typeof tagsOf
export type Tag = 'red' | 'blue'
const freeKeys: readonly Key[] = ['a', 'b', 'c']

/** What a load does if this read leads to one: it takes a picture of the source somewhere on its way. */
export interface Load {
  readonly beforeMs: number
  readonly afterMs: number
  readonly fails: boolean
}

export type Fault =
  | { readonly kind: 'cutLink' | 'mendLink' | 'freeze' | 'thaw' | 'die' | 'revive' | 'failover' | 'full' | 'roomy' }
  | { readonly kind: 'reviveEmpty' | 'evictTags' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'failNext' | 'loseReply'; readonly times: number }
  /** The wall clock of one process is corrected. */
  | { readonly kind: 'jump'; readonly ms: number }
  /** The process ends, whatever it is doing, and another takes its place. */
  | { readonly kind: 'restart' }

export type Step =
  | { readonly kind: 'wait'; readonly ms: number }
  /** Promises have so many turns, and no time passes. */
  | { readonly kind: 'breathe'; readonly turns: number }
  | {
      readonly kind: 'read'
      readonly by: number
      readonly way: 'get' | 'getOrSet' | 'getMany' | 'peek'
      readonly keys: readonly Key[]
      readonly load: Load
    }
  /** The source first, then the cache. `ms`: how long the store takes where it is written through. */
  | {
      readonly kind: 'change'
      readonly by: number
      readonly what: Change
      readonly absent: boolean
      readonly ms: number
    }
  | { readonly kind: 'fault'; readonly by: number; readonly shard: number; readonly fault: Fault }
  /** Everything is healed, and nothing is done until it has settled. Then it is judged. */
  | { readonly kind: 'quiet' }

export type Change =
  | { readonly way: 'delete' | 'set' | 'through'; readonly key: Key }
  | { readonly way: 'tag'; readonly tag: Tag }
  | { readonly way: 'clear' }

export interface Day {
  readonly seed: number
  /** `fair`: nothing goes wrong but loads, and every law holds at any moment. `foul`: the other ones hold when it is quiet. */
  readonly weather: 'fair' | 'foul'
  readonly processes: number
  readonly shards: number
  /** How long answers, and what is told, are under way when nothing is wrong. */
  readonly delayMs: number
  readonly options: CacheOptions & { readonly ttl: number }
  readonly steps: readonly Step[]
}

export interface DayTerms {
  readonly weather: 'fair' | 'foul'
  readonly steps: number
}

export function planDay(seed: number, { weather, steps }: DayTerms): Day {
  const dice = new Dice(seed)
  const processes = dice.between(2, 3)
  const shards = dice.pick([1, 1, 3])
  const drawn = Array.from({ length: steps }, () => drawStep(dice, { weather, processes, shards }))
  return {
    seed,
    weather,
    processes,
    shards,
    delayMs: dice.pick([0, 0, 1, 10]),
    options: drawOptions(dice),
    steps: [...drawn, { kind: 'quiet' }],
  }
}

function drawOptions(dice: Dice): Day['options'] {
  return {
    ttl: dice.pick([2000, 30_000, 600_000]),
    jitter: dice.pick([0, 0.1]),
    staleWhileRevalidate: dice.pick([0, 0, 1500]),
    staleIfError: dice.pick([0, 5000, 60_000]),
    negativeTtl: dice.pick([0, 3000]),
    errorBackoff: dice.pick([200, 1000]),
    hardDeadline: dice.pick([6000, 30_000]),
    local: dice.pick([{}, {}, { maxEntries: 2 }, false] as const),
    ...(dice.chance(0.2) ? { localTtl: 500 } : {}),
    ...(dice.chance(0.2) ? { softDeadline: 50 } : {}),
  }
}

interface Place {
  readonly weather: 'fair' | 'foul'
  readonly processes: number
  readonly shards: number
}

function drawStep(dice: Dice, place: Place): Step {
  const by = dice.between(0, place.processes - 1)
  const lot = dice.next()
  if (lot < 0.3) return { kind: 'wait', ms: drawWait(dice) }
  if (lot < 0.4) return { kind: 'breathe', turns: dice.between(1, 12) }
  if (lot < 0.66) return drawRead(dice, by)
  if (lot < 0.82 || place.weather === 'fair') return drawChange(dice, by)
  if (lot < 0.98) return { kind: 'fault', by, shard: dice.between(0, place.shards - 1), fault: drawFault(dice) }
  return { kind: 'quiet' }
}

function drawWait(dice: Dice): number {
  const lot = dice.next()
  if (lot < 0.3) return 0
  if (lot < 0.6) return dice.between(1, 30)
  if (lot < 0.85) return dice.between(30, 400)
  if (lot < 0.98) return dice.between(400, 4000)
  return dice.pick([30_000, 120_000])
}

function drawRead(dice: Dice, by: number): Step {
  const way = dice.pick(['getOrSet', 'getOrSet', 'getOrSet', 'get', 'getMany', 'peek'] as const)
  const all: readonly Key[] = [...freeKeys, 'stored']
  const long = dice.chance(0.05) ? dice.between(1500, 4000) : 0
  const load = {
    beforeMs: dice.pick([0, 0, 1, dice.between(0, 100)]),
    afterMs: dice.pick([0, 1, dice.between(0, 100), dice.between(0, 600)]) + long,
    fails: dice.chance(0.12),
  }
  return { kind: 'read', by, way, keys: way === 'getMany' ? all : [dice.pick(all)], load }
}

function drawChange(dice: Dice, by: number): Step {
  const way = dice.pick(['delete', 'delete', 'set', 'set', 'tag', 'tag', 'through', 'clear'] as const)
  const rest = { kind: 'change', by, absent: dice.chance(0.1), ms: dice.pick([0, 1, dice.between(0, 100)]) } as const
  switch (way) {
    case 'tag':
      return { ...rest, what: { way, tag: dice.pick(['red', 'blue']) } }
    case 'clear':
      return { ...rest, what: { way } }
    case 'through':
      return { ...rest, what: { way, key: 'stored' } }
    default:
      return { ...rest, what: { way, key: dice.pick(freeKeys) } }
  }
}

function drawFault(dice: Dice): Fault {
  const kind = dice.pick([
    ...(['cutLink', 'mendLink', 'mendLink', 'freeze', 'thaw', 'thaw', 'die', 'revive', 'revive'] as const),
    ...(['reviveEmpty', 'failover', 'full', 'roomy', 'roomy', 'evictTags'] as const),
    ...(['delay', 'delay', 'failNext', 'loseReply', 'jump', 'restart'] as const),
  ])
  switch (kind) {
    case 'delay':
      return { kind, ms: dice.pick([0, 0, dice.between(1, 100), dice.between(100, 400)]) }
    case 'failNext':
    case 'loseReply':
      return { kind, times: dice.between(1, 3) }
    case 'jump':
      return { kind, ms: dice.pick([-600_000, -5000, -500, 500, 5000, 600_000]) }
    default:
      return { kind }
  }
}

/** A step as a line of a story. */
export function tellStep(step: Step): string {
  const { kind, ...rest } = step
  return `${kind} ${JSON.stringify(rest)}`
}
