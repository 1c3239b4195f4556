/** How long moves will take, before the first has begun: from rates that were measured elsewhere. A running move has its own. */
import type { EngineBuild } from '../engine-version.ts'
import { engineHas } from '../engine-version.ts'
import type { SlotRange } from '../slots.ts'
import type { SlotMove } from './moves.ts'
import { movesToBegin } from './moves.ts'

/** `atomic`: the engine moves slots by itself, a whole range at a time. `classic`: key by key. `classic-replicated`: the same, where each slot waits for the replicas. */
export type Mover = 'atomic' | 'classic' | 'classic-replicated'

/** What one source gives to one target in a second. The slowest of the three decides. */
export interface MoverRate {
  readonly slots: number
  readonly keys: number
  readonly bytes: number
}

/** A link of 1 Gbit/s, since larger values than those of the measurement come nearer to that. */
const linkBytes = 110_000_000

/**
 * Measured on two shared cores and loopback, with values of 200 bytes and a client that reads and writes meanwhile: 4096 slots
 * with 50 000 keys took 0.37 s on Valkey 9.1.2 by its own move over three sources (jobs of 291 to 354 ms), 2.36 s on Redis
 * 7.0.15 over one connection, and 26.7 s on Valkey 9.1.2 key by key over three sources.
 */
export const moverRates: Readonly<Record<Mover, MoverRate>> = {
  atomic: { slots: 3900, keys: 48_000, bytes: linkBytes },
  classic: { slots: 1700, keys: 21_000, bytes: linkBytes },
  'classic-replicated': { slots: 51, keys: 21_000, bytes: linkBytes },
}

/** From 9.0 on Valkey moves slots by itself; from 8.0 on it tells its replicas of each slot before it answers. */
export function moverOf(engine: EngineBuild): Mover {
  if (engineHas(engine, { redis: null, valkey: '9.0' })) return 'atomic'
  return engineHas(engine, { redis: null, valkey: '8.0' }) ? 'classic-replicated' : 'classic'
}

/** What is in each slot, by its number. */
export interface SlotContents {
  readonly keys: Float64Array
  readonly bytes: Float64Array
  /** How busy the engines are with each, one to another; null: nobody counts that. */
  readonly load: Float64Array | null
}

export const sumIn = (costs: Float64Array, slots: readonly SlotRange[]): number =>
  slots.reduce((sum, [from, to]) => sum + costs.subarray(from, to + 1).reduce((all, cost) => all + cost, 0), 0)

/** `contents` null: not known, and then the slots alone decide. */
export function expectedMs({ count, slots }: SlotMove, contents: SlotContents | null, rate: MoverRate): number {
  const [keys, bytes] = contents === null ? [0, 0] : [sumIn(contents.keys, slots), sumIn(contents.bytes, slots)]
  return Math.ceil(1000 * Math.max(count / rate.slots, keys / rate.keys, bytes / rate.bytes))
}

/** From the first to the last, as many at a time as may be. */
export function expectedMsOfAll(moves: readonly (Pick<SlotMove, 'from' | 'to'> & { expectedMs: number })[]): number {
  let waiting = [...moves]
  let underWay: { from: string; to: string; endsAt: number }[] = []
  let now = 0
  while (waiting.length > 0) {
    const begin = movesToBegin(waiting, underWay)
    underWay.push(...begin.map((move) => ({ from: move.from, to: move.to, endsAt: now + move.expectedMs })))
    waiting = waiting.filter((move) => !begin.includes(move))
    now = Math.min(...underWay.map(({ endsAt }) => endsAt))
    if (waiting.length > 0) underWay = underWay.filter(({ endsAt }) => endsAt > now)
  }
  return Math.max(0, ...underWay.map(({ endsAt }) => endsAt))
}
