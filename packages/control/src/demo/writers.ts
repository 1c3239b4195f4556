/**
 * Writers of keys that nobody else writes, by the client of their lane. A write has one of three ends: acknowledged,
 * not done, or nobody knows. Only the first can be lost.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Cache } from '@holdfast/cache'
import { createCache } from '@holdfast/cache'
import type { LaneName } from '@holdfast/core'
import type { AckedWrites } from './acked-writes.ts'
import type { EngineAccess } from './messages.ts'
import { complain } from './parent.ts'
import { holdfastUrl } from './store/holdfast.ts'
import { openIoredis } from './store/ioredis.ts'

const writesPerSecond = 20
const readsPerSecond = 60
/** So many hash tags: enough that every shard has some. */
const tags = 48
/** A writer waits no longer: what is not acknowledged by then is nobody's promise. */
const answerWithinMs = 5500
const underWayMax = 400

/** How a lane's client writes and reads one key. */
interface Pen {
  write(key: string): Promise<void>
  /** Whether it is there. Throws where nobody answers. */
  isThere(key: string): Promise<boolean>
  remove(key: string): Promise<void>
  /** As the engine has it. */
  name(key: string): string
  close(): Promise<void>
}

export class Writers {
  readonly #acked: AckedWrites
  readonly #pen: Pen
  /** Since they were last asked for. */
  #unacknowledged = 0
  #underWay = 0
  #written = 0
  #lastKey: string | null = null

  constructor(lane: LaneName, access: EngineAccess, acked: AckedWrites) {
    this.#acked = acked
    this.#pen = lane === 'holdfast' ? holdfastPen(access) : ioredisPen(access)
  }

  /** Writes and reads back until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const begunAt = performance.now()
    const run = process.pid.toString(36)
    while (!signal.aborted) {
      const due = Math.floor(((performance.now() - begunAt) * writesPerSecond) / 1000)
      for (; this.#written < due; this.#written++)
        void this.#write(`{w${this.#written % tags}}:${run}-${this.#written}`)
      const most = Math.min(underWayMax - this.#underWay, Math.ceil(readsPerSecond / 10))
      for (const key of this.#acked.takeDue(Date.now(), most)) void this.#readBack(key)
      await delay(100)
    }
    await this.#pen.close()
  }

  takeUnacknowledged(): number {
    const count = this.#unacknowledged
    this.#unacknowledged = 0
    return count
  }

  name(key: string): string {
    return this.#pen.name(key)
  }

  /** The newest that was acknowledged; null before the first. */
  get lastKey(): string | null {
    return this.#lastKey
  }

  async #write(key: string): Promise<void> {
    if (this.#underWay >= underWayMax) {
      this.#unacknowledged++
      return
    }
    const isDone = await this.#bounded(this.#pen.write(key))
    if (isDone) {
      this.#lastKey = key
      this.#acked.acknowledged(key, Date.now())
    } else this.#unacknowledged++
  }

  async #readBack(key: string): Promise<void> {
    let isThere = false
    const isAnswered = await this.#bounded(
      this.#pen.isThere(key).then((found) => {
        isThere = found
      }),
    )
    const now = Date.now()
    if (!isAnswered) this.#acked.unread(key, now)
    else if (!isThere) this.#acked.missed(key, now)
    else if (this.#acked.found(key, now)) await this.#bounded(this.#pen.remove(key))
  }

  /** Whether it was done, in time. */
  async #bounded(work: Promise<void>): Promise<boolean> {
    this.#underWay++
    const over = new AbortController()
    const late = delay(answerWithinMs, undefined, { signal: over.signal }).catch(() => undefined)
    const isDone = await Promise.race([
      work.then(
        () => true,
        (error: unknown) => complain('a writer', error),
      ),
      late,
    ])
    over.abort()
    this.#underWay--
    return isDone === true
  }
}

function holdfastPen(access: EngineAccess): Pen {
  const cache: Cache = createCache({ url: holdfastUrl(access), namespace: 'shop', local: false })
  const own = (key: string) => cache.on(key.slice(0, key.indexOf('}') + 1))
  const rest = (key: string): string => key.slice(key.indexOf('}') + 2)
  return {
    write: async (key) => void (await own(key).set(rest(key), key)),
    isThere: async (key) => (await own(key).get(rest(key))) !== undefined,
    remove: (key) => own(key).delete(rest(key)),
    name: (key) => own(key).key(rest(key)),
    close: () => cache.close(),
  }
}

function ioredisPen(access: EngineAccess): Pen {
  const redis = openIoredis(access)
  const name = (key: string): string => `shop:${key}`
  return {
    write: async (key) => void (await redis.set(name(key), key)),
    isThere: async (key) => (await redis.get(name(key))) !== null,
    remove: async (key) => void (await redis.del(name(key))),
    name,
    close: async () => redis.disconnect(),
  }
}
