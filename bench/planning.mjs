// @ts-check
/** How long it takes to decide who shall have which slots: 16384 of them over 1000 shards, from several beginnings. */
import { assignSlots, evenSlots, movesBetween } from '@holdfast/core'

const shards = 1000
const slots = 16_384

/** @typedef {Map<string, [number, number][]>} Owned */

/**
 * @param {number} count
 * @returns {Owned}
 */
const even = (count) => new Map(evenSlots(count).map(([from, to], index) => [`shard-${index + 1}`, [[from, to]]]))

/** @param {number} [emptied] */
const weights = (emptied = 0) =>
  new Map(Array.from({ length: shards }, (_, index) => [`shard-${index + 1}`, index < emptied ? 0 : 1]))

/** Every slot somewhere, the same in each run. */
function scattered() {
  /** @type {Owned} */
  const owned = new Map(Array.from({ length: shards }, (_, index) => [`shard-${index + 1}`, []]))
  let seed = 1
  for (let slot = 0; slot < slots; slot++) {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    owned.get(`shard-${1 + (Math.floor(seed / 65_536) % shards)}`)?.push([slot, slot])
  }
  return owned
}

/** Keys by chance: about a hundred a slot. */
const costs = Float64Array.from({ length: slots }, (_, slot) => 90 + ((slot * 7919) % 21))

const beginnings = [
  { what: 'all slots on one shard', owned: new Map([['shard-1', [[0, slots - 1]]]]), weights: weights() },
  { what: 'even, and one shard comes', owned: even(shards - 1), weights: weights() },
  { what: 'each slot anywhere', owned: scattered(), weights: weights() },
  { what: 'ten shards are emptied', owned: even(shards), weights: weights(10) },
]

/**
 * @param {{ runs?: number, say: (line: string) => void }} bench
 * @returns {Promise<{ rows: import('./figures.mjs').Row[], compare: [number, number][] }>}
 */
export async function benchPlanning({ runs = 20, say }) {
  const rows = [false, true].flatMap((byCost) =>
    beginnings.map(({ what, ...input }) => {
      const named = `${what}, by ${byCost ? 'bytes' : 'slots'}`
      say(named)
      const plan = () =>
        movesBetween(/** @type {any} */ (input.owned), assignSlots({ ...input, ...(byCost ? { costs } : {}) }))
      // The first ones are the compiler's.
      for (let warm = 0; warm < 5; warm++) plan()
      const times = Array.from({ length: runs }, () => {
        const begun = performance.now()
        plan()
        return performance.now() - begun
      })
      /** @type {import('./figures.mjs').Limit[]} */
      const limits = byCost ? [] : [{ of: 'median', atMost: 50 }]
      return { what: named, unit: 'ms', runs: times, limits }
    }),
  )
  return { rows, compare: [] }
}
