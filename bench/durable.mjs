// @ts-check
/**
 * What it costs to wait for a copy: the same writes to the same engines, one at a time, once acknowledged by the primary
 * alone (class `cache`) and once by a copy too (`durable`). In turns, so that a busy machine is unfair to both.
 */
import { createCache } from '@holdfast/cache'
import { accessTo, urlFor } from '@holdfast/core'
import { Deployment } from './deployment.mjs'
import { now } from './time.mjs'

/** @typedef {{ p50: number[], p99: number[], perSecond: number[] }} Latencies */

const writesPerRun = 1000
const warmUp = 200

/** @param {import('./main.mjs').Bench} bench @returns {Promise<import('./main.mjs').Result>} */
export async function benchDurable({ say, runs = 10, quick = false }) {
  const writes = quick ? 100 : writesPerRun
  const deployment = await Deployment.up({ durability: 'durable', replicasPerShard: 2 })
  const { api } = deployment
  const [name = ''] = await api.names()
  const status = await deployment.ready()
  const url = urlFor('holdfast', accessTo(status, await api.credentials(name)), { showSecret: true })
  const caches = [false, true].map((durable) =>
    createCache({ url, namespace: 'bench', local: false, direct: { durable } }),
  )
  /** @type {Latencies[]} */
  const seen = caches.map(() => ({ p50: [], p99: [], perSecond: [] }))
  try {
    for (const cache of caches) await write(cache, warmUp)
    for (let run = 0; run < (quick ? 2 : runs); run++) {
      for (const [index, cache] of caches.entries()) {
        const began = now()
        const took = (await write(cache, writes)).sort((a, b) => a - b)
        const { p50, p99, perSecond } = /** @type {Latencies} */ (seen[index])
        p50.push(took[Math.floor(took.length * 0.5)] ?? Number.NaN)
        p99.push(took[Math.floor(took.length * 0.99)] ?? Number.NaN)
        perSecond.push((1000 * writes) / (now() - began))
      }
      say(
        `run ${run + 1}: median ${seen.map(({ p50 }) => p50.at(-1)?.toFixed(2)).join(' ms by the primary, ')} ms by a copy`,
      )
    }
  } finally {
    await Promise.all(caches.map((cache) => cache.close()))
    await deployment.remove()
  }
  const rows = ['cache', 'durable'].flatMap((kind, index) => {
    const { p50, p99, perSecond } = /** @type {Latencies} */ (seen[index])
    return [
      { what: `acknowledged write, ${kind}, p50`, unit: 'ms', runs: p50 },
      { what: `acknowledged write, ${kind}, p99`, unit: 'ms', runs: p99 },
      { what: `one writer, ${kind}`, unit: 'writes/s', runs: perSecond },
    ]
  })
  return {
    rows,
    compare: [
      [3, 0],
      [4, 1],
    ],
    details: { writesPerRun: writes },
  }
}

/** One after the other, over the slots. @param {import('@holdfast/cache').Cache} cache @param {number} count */
async function write(cache, count) {
  /** @type {number[]} */
  const took = []
  for (let index = 0; index < count; index++) {
    const began = now()
    await cache.on(`{${index % 300}}`).set('value', `value ${index}`, { ttl: 600_000 })
    took.push(now() - began)
  }
  return took
}
