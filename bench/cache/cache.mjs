// @ts-check
/** The cache client beside its peers: every number it has to keep is a row here. */
import { benchClear } from './clear.mjs'
import { benchCoherence } from './coherence.mjs'
import { benchErrors } from './errors.mjs'
import { benchClusterFailover } from './failover.mjs'
import { benchFeed } from './feed.mjs'
import { benchLocalHits } from './l1.mjs'
import { benchEngineHits } from './l2.mjs'
import { benchDistinctKeys, benchLongOutage, benchReconnects } from './memory.mjs'
import { benchOutage } from './outage.mjs'
import { benchStampede } from './stampede.mjs'
import { benchTags } from './tags.mjs'

/**
 * @typedef {object} Part
 * @property {import('../main.mjs').Bench} bench
 * @property {boolean} quick Only whether it runs: figures of a quick run are not to be compared.
 * @property {number} [runs]
 */

/** @type {Record<string, (part: Part) => Promise<import('../main.mjs').Result>>} */
const parts = {
  l1: benchLocalHits,
  l2: benchEngineHits,
  stampede: benchStampede,
  errors: benchErrors,
  outage: benchOutage,
  coherence: benchCoherence,
  failover: benchClusterFailover,
  feed: benchFeed,
  clear: benchClear,
  keys: benchDistinctKeys,
  reconnects: benchReconnects,
  'long-outage': benchLongOutage,
  tags: benchTags,
}

/**
 * @param {import('../main.mjs').Bench} bench
 * @returns {Promise<import('../main.mjs').Result>}
 */
export async function benchCache(bench) {
  const { part, runs, quick = false } = bench
  const chosen = part === undefined ? Object.entries(parts) : Object.entries(parts).filter(([name]) => name === part)
  if (chosen.length === 0) throw new Error(`there is no part ${part}: ${Object.keys(parts).join(', ')}`)
  /** @type {{ rows: import('../figures.mjs').Row[], compare: [number, number][], details: Record<string, unknown> }} */
  const all = { rows: [], compare: [], details: {} }
  for (const [name, one] of chosen) {
    const { rows, compare, details } = await one({ bench, quick, ...(runs === undefined ? {} : { runs }) })
    for (const [ours, peer] of compare) all.compare.push([ours + all.rows.length, peer + all.rows.length])
    all.rows.push(...rows)
    all.details[name] = details
  }
  const whole = (/** @type {number} */ row) => (all.rows[row]?.runs ?? [Number.NaN]).every(Number.isFinite)
  return { ...all, compare: all.compare.filter((pair) => pair.every(whole)) }
}
