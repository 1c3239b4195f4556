// @ts-check
/**
 * Who uses the cluster while its slots move, in a process of its own: an unmodified ioredis cluster client with default
 * options, eight lanes, as many reads as writes. It tells how long its calls took, how many failed, and how many it made.
 *
 * @typedef {{ ports: readonly number[], password: string, username: string, keys: number }} Start
 * @typedef {{ errors: number, calls: number, tookMs: number, p50: number, p99: number, max: number, said: string | null }} Used
 */
import ioredis from 'ioredis'
import { now } from './time.mjs'

const lanes = 8
const value = 'x'.repeat(200)

/** @type {import('ioredis').Cluster | undefined} */
let client
let stopped = false
/** @type {Promise<unknown> | undefined} */
let using
/** @type {number[]} */
let took = []
let errors = 0
let beganAt = 0
/** @type {string | null} */
let said = null

/** @param {number} keys */
async function lane(keys) {
  while (!stopped) {
    const key = `key:${Math.floor(Math.random() * keys)}`
    const began = now()
    try {
      await (Math.random() < 0.5 ? client?.get(key) : client?.set(key, value))
      took.push(now() - began)
    } catch (error) {
      errors++
      said ??= String(error)
    }
  }
}

process.on('message', async (/** @type {{ start: Start } | 'reset' | 'stop'} */ message) => {
  if (message === 'reset') {
    took = []
    errors = 0
    beganAt = now()
    return process.send?.('reset')
  }
  if (message === 'stop') {
    stopped = true
    await using
    client?.disconnect()
    const tookMs = now() - beganAt
    const { p99, p50 } = percentiles(took)
    return process.send?.({ errors, calls: took.length, tookMs, p50, p99, max: Math.max(0, ...took.slice(-1e5)), said })
  }
  const { ports, username, password, keys } = message.start
  client = new ioredis.Cluster(
    ports.map((port) => ({ host: '127.0.0.1', port })),
    password === '' ? {} : { redisOptions: { username, password } },
  )
  await client.ping()
  stopped = false
  beganAt = now()
  using = Promise.all(Array.from({ length: lanes }, () => lane(keys)))
  process.send?.('started')
})

/** @param {readonly number[]} times */
function percentiles(times) {
  const sorted = [...times].sort((a, b) => a - b)
  /** @param {number} share */
  const at = (share) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0
  return { p50: at(0.5), p99: at(0.99) }
}
