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
  const lanes = [false, true].map((durable) => ({
    kind: durable ? 'durable' : 'cache',
    cache: createCache({ url, namespace: 'bench', local: false, direct: { durable } }),
    /** @type {Latencies} */
    seen: { p50: [], p99: [], perSecond: [] },
  }))
  try {
    for (const { cache } of lanes) await write(cache, warmUp)
    for (let run = 0; run < (quick ? 2 : runs); run++) {
      for (const { cache, seen } of lanes) {
        const began = now()
        const took = (await write(cache, writes)).sort((a, b) => a - b)
        seen.perSecond.push((1000 * writes) / (now() - began))
        seen.p50.push(took[Math.floor(took.length * 0.5)] ?? Number.NaN)
        seen.p99.push(took[Math.floor(took.length * 0.99)] ?? Number.NaN)
      }
      say(`run ${run + 1}: ${lanes.map(({ kind, seen }) => `${kind} ${seen.p50.at(-1)?.toFixed(2)} ms`).join(', ')}`)
    }
  } finally {
    await Promise.all(lanes.map(({ cache }) => cache.close()))
    await deployment.remove()
  }
  const rows = lanes.flatMap(({ kind, seen }) => [
    { what: `acknowledged write, ${kind}, p50`, unit: 'ms', runs: seen.p50 },
    { what: `acknowledged write, ${kind}, p99`, unit: 'ms', runs: seen.p99 },
    { what: `one writer, ${kind}`, unit: 'writes/s', runs: seen.perSecond },
  ])
  // Ours is what waits; the peer is the class that does not.
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
