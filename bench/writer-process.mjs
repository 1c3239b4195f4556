// @ts-check
/**
 * The write load, in a process of its own so that nothing else delays it: an unmodified ioredis cluster client with
 * default options. A few lanes write to each shard, one after the other, and remember what was acknowledged and when.
 *
 * @typedef {{ readonly tag: string, readonly gapMs: number | null, readonly acked: number, readonly failed: number, readonly lost: number | null }} Written
 * @typedef {{ ports: readonly number[], username: string, password: string, tags: readonly string[] }} Start
 * @typedef {{ since: number, until: number, withinMs: number }} Finish
 */
import { randomUUID } from 'node:crypto'
import ioredis from 'ioredis'
import { delay, eventually, now } from './time.mjs'

const lanesPerShard = 2
/** Between two writes of a lane: a load, not a test of how much the machine can take. */
const restMs = 2

class Lane {
  /** @type {string[]} */
  acked = []
  /** @type {number[]} */
  ackedAt = []
  failed = 0
  #stopped = false
  /** @type {Promise<void>} */
  #done

  /**
   * @param {import('ioredis').Cluster} client
   * @param {string} tag
   */
  constructor(client, tag) {
    this.tag = tag
    this.#done = this.#write(client, `{${tag}}:${randomUUID()}`)
  }

  async stop() {
    this.#stopped = true
    await this.#done
  }

  /**
   * @param {import('ioredis').Cluster} client
   * @param {string} prefix
   */
  async #write(client, prefix) {
    for (let count = 0; !this.#stopped; count++) {
      const key = `${prefix}:${count}`
      try {
        await client.set(key, 'a value of ordinary length, as a cache would hold it')
        this.acked.push(key)
        this.ackedAt.push(now())
      } catch {
        this.failed++
      }
      await delay(restMs)
    }
  }
}

/** @type {{ client: import('ioredis').Cluster, lanes: Lane[] } | undefined} */
let running

/** @param {Start} start */
async function start({ ports, username, password, tags }) {
  const nodes = ports.map((port) => ({ host: '127.0.0.1', port }))
  const redisOptions = password === '' ? {} : { username, password }
  const client = new ioredis.Cluster(nodes, { redisOptions })
  client.on('error', () => {})
  await eventually(() => client.set(`{${tags[0]}}:first`, ''), { withinMs: 10_000, what: 'the client writes' })
  const lanes = tags.flatMap((tag) => Array.from({ length: lanesPerShard }, () => new Lane(client, tag)))
  running = { client, lanes }
}

/**
 * Ends the load once every shard was written to after `until`, or when the time is over, and tells what was seen since
 * the fault.
 *
 * @param {Finish} finish
 * @returns {Promise<Written[]>}
 */
async function finish({ since, until, withinMs }) {
  if (running === undefined) throw new Error('not started')
  const { client, lanes } = running
  running = undefined
  const isBack = (/** @type {Lane} */ lane) => (lane.ackedAt.at(-1) ?? 0) > until
  const deadline = now() + withinMs
  while (!lanes.every(isBack) && now() < deadline) await delay(20)
  const back = new Set(lanes.filter(isBack))
  const stopped = Promise.all(lanes.map((lane) => lane.stop()))
  // A write that waits for an engine that never answers would be waited for for ever.
  await (back.size < lanes.length ? Promise.race([stopped, delay(1000)]) : stopped)
  const written = []
  for (const tag of new Set(lanes.map((lane) => lane.tag))) {
    const mine = lanes.filter((lane) => lane.tag === tag)
    const acked = mine.flatMap((lane) => lane.acked)
    const times = mine.flatMap(({ ackedAt }) => ackedAt)
    written.push({
      tag,
      gapMs: mine.every((lane) => back.has(lane)) ? longestGap(times, since) : null,
      acked: acked.length,
      failed: mine.reduce((sum, { failed }) => sum + failed, 0),
      lost: back.size < lanes.length ? null : acked.length - (await countKeys(client, acked)),
    })
  }
  client.disconnect()
  return written
}

/**
 * The longest time without an acknowledgement that ended after the fault.
 *
 * @param {number[]} times
 * @param {number} since
 */
function longestGap(times, since) {
  const sorted = [...times].sort((a, b) => a - b)
  return Math.max(0, ...sorted.map((at, index) => (at > since ? at - (sorted[index - 1] ?? at) : 0)))
}

/**
 * How many of these keys of one shard are there; and takes them away, so that the next run finds an empty shard.
 *
 * @param {import('ioredis').Cluster} client
 * @param {readonly string[]} keys
 */
async function countKeys(client, keys) {
  let count = 0
  for (let from = 0; from < keys.length; from += 500) count += await client.unlink(...keys.slice(from, from + 500))
  return count
}

process.on('message', (/** @type {{ start: Start } | { finish: Finish }} */ asked) => {
  const work = 'start' in asked ? start(asked.start) : finish(asked.finish)
  work.then(
    (answer) => process.send?.({ answer: answer ?? null }),
    (error) => process.send?.({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit())
