// @ts-check
/** What a library is asked to do, in its own process. Times are CPU of that process where they can be. */
import { delay, now } from '../time.mjs'

/** @type {{ cache: import('./subject.mjs').Opened, unhandled: number, load: Traffic | undefined }} */
export const world = { cache: /** @type {any} */ (undefined), unhandled: 0, load: undefined }

/** About 100 bytes of JSON, as a page would keep it. */
const product = (/** @type {string | number} */ id) => ({
  id,
  name: 'a product of ordinary length',
  price: 19.9,
  tags: ['garden', 'new'],
  stock: 12,
})

/** @typedef {{ count: number, ms: number, what?: 'get' | 'getOrSet' | 'peek' }} Hits */

export const tasks = {
  /** Puts `count` entries in. @param {{ count: number, prefix?: string, version?: number, tags?: string[], ttl?: string }} input */
  async fill({ count, prefix = 'k', version = 0, tags, ttl }) {
    const options = { ...(tags && { tags }), ...(ttl !== undefined && { ttl }) }
    for (let from = 0; from < count; from += 500) {
      const some = Array.from({ length: Math.min(500, count - from) }, (_, index) => `${prefix}${from + index}`)
      await Promise.all(some.map((key) => world.cache.set(key, { ...product(key), version }, options)))
    }
  },

  /** Awaited hits, one after the other: CPU µs for each. @param {Hits} input */
  async hits({ count, ms, what = 'get' }) {
    const { cache } = world
    const keys = Array.from({ length: count }, (_, index) => `k${index}`)
    for (const key of keys) await cache.getOrSet(key, async () => product(key))
    const load = async () => {
      throw new Error('a hit must not load')
    }
    const round = {
      get: async () => {
        for (const key of keys) if ((await cache.get(key)) === undefined) throw new Error(`${key} is missing`)
      },
      getOrSet: async () => {
        for (const key of keys)
          if ((await cache.getOrSet(key, load)) === undefined) throw new Error(`${key} is missing`)
      },
      peek: async () => {
        for (const key of keys) if (cache.peek?.(key) === undefined) throw new Error(`${key} is missing`)
      },
    }[what]
    return cpuPerCall(round, count, ms)
  },

  /** Hits of the engine with `lanes` of them in flight: CPU µs for each, and how many a second. @param {Hits & { lanes: number }} input */
  async hitsInFlight({ count, ms, lanes, what = 'get' }) {
    const { cache } = world
    const load = async () => product(0)
    const each = 200
    const lane = async (/** @type {number} */ number) => {
      for (let index = 0; index < each; index++) {
        const key = `k${(number * 7919 + index) % count}`
        const value = what === 'get' ? await cache.get(key) : await cache.getOrSet(key, load)
        if (value === undefined) throw new Error(`${key} is missing`)
      }
    }
    return cpuPerCall(() => Promise.all(Array.from({ length: lanes }, (_, number) => lane(number))), lanes * each, ms)
  },

  /** `callers` of one missing key at one moment. @param {{ key: string, callers: number, loadMs: number, at: number, fails?: boolean }} input */
  async stampede({ key, callers, loadMs, at, fails = false }) {
    let loads = 0
    const load = async () => {
      loads++
      await delay(loadMs)
      if (fails) throw new Error('the database said no')
      return product(key)
    }
    await delay(Math.max(0, at - now()))
    const startedAt = now()
    let longestMs = 0
    const outcomes = await Promise.allSettled(
      Array.from({ length: callers }, async () => {
        try {
          return await world.cache.getOrSet(key, load)
        } finally {
          longestMs = Math.max(longestMs, now() - startedAt)
        }
      }),
    )
    const values = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    return { loads, longestMs, silent: values.filter((value) => value === undefined || value === null).length }
  },

  /** One read of a missing key, given up after `capMs`. @param {{ key: string, loadMs: number, capMs: number }} input */
  async miss({ key, loadMs, capMs }) {
    const startedAt = now()
    const load = () => delay(loadMs, product(key))
    const value = Promise.resolve(world.cache.getOrSet(key, load)).then(
      () => ({ ms: now() - startedAt, hung: false, failed: false }),
      () => ({ ms: now() - startedAt, hung: false, failed: true }),
    )
    return Promise.race([value, delay(capMs).then(() => ({ ms: capMs, hung: true, failed: false }))])
  },

  /** How many of the keys are not of this version. @param {{ prefix: string, count: number, version: number }} input */
  async countStale({ prefix, count, version }) {
    const keys = Array.from({ length: count }, (_, index) => `${prefix}${index}`)
    const values = /** @type {any[]} */ (await Promise.all(keys.map((key) => world.cache.get(key))))
    return values.filter((value) => value?.version !== version).length
  },

  /** How many of the keys are in the local tier; null where it cannot be asked. @param {{ prefix: string, count: number }} input */
  async countLocal({ prefix, count }) {
    const { peek } = world.cache
    if (peek === undefined) return null
    return Array.from({ length: count }, (_, index) => peek(`${prefix}${index}`)).filter((value) => value !== undefined)
      .length
  },

  /** @param {{ key: string }} input */
  isThere: async ({ key }) => ![undefined, null].includes(/** @type {any} */ (await world.cache.get(key))),
  clear: async () => world.cache.clear?.(),
  /** @param {{ tags: string[] }} input */
  invalidateTags: async ({ tags }) => world.cache.invalidateTags?.(tags),
  unhandled: () => world.unhandled,

  /** Begins to read and fill, and to count, at a steady rate. @param {TrafficInput} input */
  async startTraffic(input) {
    world.load = new Traffic(input)
  },
  /** Ends it and tells what was seen. */
  async stopTraffic() {
    return world.load?.stop()
  },

  /** Reads `count` distinct keys that nobody has. @param {{ count: number, from: number, prefix?: string }} input */
  async distinct({ count, from, prefix = 'distinct' }) {
    for (let done = 0; done < count; done += 200) {
      const keys = Array.from({ length: 200 }, (_, index) => `${prefix}${from + done + index}`)
      await Promise.allSettled(keys.map((key) => world.cache.getOrSet(key, async () => product(key))))
    }
  },

  /** MB on the heap after everything that can be collected was. */
  async heapMb() {
    for (let round = 0; round < 4; round++) {
      globalThis.gc?.()
      await delay(50)
    }
    return process.memoryUsage().heapUsed / 2 ** 20
  },
}

/**
 * @param {() => Promise<unknown>} round
 * @param {number} calls In one round.
 * @param {number} ms
 */
async function cpuPerCall(round, calls, ms) {
  const warmUntil = now() + Math.min(400, ms)
  while (now() < warmUntil) await round()
  globalThis.gc?.()
  let rounds = 0
  const before = process.cpuUsage()
  const startedAt = now()
  while (now() - startedAt < ms) {
    await round()
    rounds++
  }
  const seconds = (now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(before)
  return { cpuUs: (user + system) / (rounds * calls), perSecond: (rounds * calls) / seconds }
}

/**
 * @typedef {object} TrafficInput
 * @property {number} perSecond
 * @property {number} keys Chosen among so many; 0: a new one each time.
 * @property {number} loadMs
 * @property {string} [tag] All of them on the shard of this hash tag.
 * @property {'fill' | 'plain' | 'increment'} [what] `plain`: a get and a set, as of a client without a loader.
 *
 * @typedef {object} Seen
 * @property {number} calls
 * @property {number} errors
 * @property {string[]} words Of the first errors.
 * @property {number} slowestMs
 * @property {number} slow Over 50 ms.
 * @property {number} longestGapMs In which no call succeeded.
 * @property {number} lastTroubleAt When the last error or slow call (over 100 ms) ended; 0: never.
 * @property {number} unfinished
 */
class Traffic {
  #stopped = false
  #open = 0
  #succeededAt = now()
  #started = 0
  /** @type {Seen} */
  #seen = { calls: 0, errors: 0, words: [], slowestMs: 0, slow: 0, longestGapMs: 0, lastTroubleAt: 0, unfinished: 0 }
  /** @type {Promise<void>} */
  #done
  #input

  /** @param {TrafficInput} input */
  constructor(input) {
    this.#input = input
    this.#done = this.#run()
  }

  async stop() {
    this.#stopped = true
    await this.#done
    const deadline = now() + 10_000
    while (this.#open > 0 && now() < deadline) await delay(20)
    return { ...this.#seen, unfinished: this.#open }
  }

  async #run() {
    const startedAt = now()
    while (!this.#stopped) {
      const due = Math.floor(((now() - startedAt) / 1000) * this.#input.perSecond)
      while (this.#started < due) void this.#one(this.#started++)
      await delay(5)
    }
  }

  /** @param {number} number */
  async #one(number) {
    const { keys, loadMs, tag, what = 'fill' } = this.#input
    const plain = `t${keys === 0 ? number : (number * 7919) % keys}`
    const key = tag === undefined ? plain : what === 'increment' ? tag : `{${tag}}:${plain}`
    const startedAt = now()
    this.#open++
    try {
      if (what === 'increment') await world.cache.increment?.(key)
      else if (what === 'fill') await world.cache.getOrSet(key, () => delay(loadMs, product(key)))
      else if (number % 4 === 0) await world.cache.set(key, product(key))
      else await world.cache.get(key)
      this.#seen.longestGapMs = Math.max(this.#seen.longestGapMs, now() - this.#succeededAt)
      this.#succeededAt = now()
    } catch (error) {
      this.#seen.errors++
      this.#seen.lastTroubleAt = now()
      if (this.#seen.words.length < 3) this.#seen.words.push(String(error).slice(0, 200))
    } finally {
      const ms = now() - startedAt
      this.#open--
      this.#seen.calls++
      this.#seen.slowestMs = Math.max(this.#seen.slowestMs, ms)
      if (ms > 50) this.#seen.slow++
      if (ms > 100) this.#seen.lastTroubleAt = now()
    }
  }
}
