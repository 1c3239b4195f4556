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

class Use {
  /** @type {number[]} */
  #took = []
  #errors = 0
  /** @type {string | null} */
  #said = null
  #beganAt = now()
  #isOver = false
  /** @type {import('ioredis').Cluster} */
  #client
  /** @type {Promise<unknown>} */
  #lanes

  /**
   * @param {import('ioredis').Cluster} client
   * @param {number} keys
   */
  constructor(client, keys) {
    this.#client = client
    this.#lanes = Promise.all(Array.from({ length: lanes }, () => this.#lane(keys)))
  }

  /** What came before does not count. */
  reset() {
    this.#took = []
    this.#errors = 0
    this.#beganAt = now()
  }

  /** @returns {Promise<Used>} */
  async stop() {
    this.#isOver = true
    await this.#lanes
    this.#client.disconnect()
    const sorted = this.#took.sort((a, b) => a - b)
    /** @param {number} share */
    const at = (share) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0
    const said = this.#said
    return {
      errors: this.#errors,
      calls: sorted.length,
      tookMs: now() - this.#beganAt,
      p50: at(0.5),
      p99: at(0.99),
      max: at(1),
      said,
    }
  }

  /** @param {number} keys */
  async #lane(keys) {
    while (!this.#isOver) {
      const key = `key:${Math.floor(Math.random() * keys)}`
      const began = now()
      try {
        await (Math.random() < 0.5 ? this.#client.get(key) : this.#client.set(key, value))
        this.#took.push(now() - began)
      } catch (error) {
        this.#errors++
        this.#said ??= String(error)
      }
    }
  }
}

/** @type {Use | undefined} */
let use

process.on('message', (/** @type {{ start: Start } | 'reset' | 'stop'} */ message) => {
  void answer(message).then((said) => process.send?.(said))
})

/** @param {{ start: Start } | 'reset' | 'stop'} message */
async function answer(message) {
  if (message === 'reset') {
    use?.reset()
    return 'reset'
  }
  if (message === 'stop') return use?.stop()
  const { ports, username, password, keys } = message.start
  const client = new ioredis.Cluster(
    ports.map((port) => ({ host: '127.0.0.1', port })),
    password === '' ? {} : { redisOptions: { username, password } },
  )
  await client.ping()
  use = new Use(client, keys)
  return 'started'
}
