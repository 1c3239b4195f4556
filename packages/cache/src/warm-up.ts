/**
 * After a cold start the hottest keys come first. Every process counts what is read most (`hot-keys.ts`) and adds it, now
 * and then, to a list in the engine that fades. A process that starts, or that sees an engine come back without its
 * data, refills the top of the list, so many a second, so that the source is not run over by all keys at once.
 */
import type { Core } from './core.ts'
import { countOf, type Duration, durationMs, ratioOf } from './duration.ts'
import { defineScript } from './engine/script.ts'
import type { KeySpace } from './keys.ts'

export interface WarmUpOptions {
  /** Loads a second. Default 50: what the source stands beside its daily work. */
  readonly perSecond?: number
  /** How many keys at most. Default 1000. */
  readonly most?: number
  /** How often what is hot here is added to the list in the engine. Default 10 s. */
  readonly every?: Duration
}

export interface WarmUp {
  /** Refills now; answers how many keys are warm. One at a time: a second call gets the first one's answer. */
  run(): Promise<number>
  /** Adds what is hot here to the list now, instead of when its time comes. */
  publish(): Promise<void>
  /** Ends what is under way. */
  stop(): void
}

/** The list fades: what was hot yesterday makes room. Key: the list. Arguments: how many to keep, for how many ms, then score and key in turn. */
const addHot = defineScript({
  name: 'add-hot',
  lua: `
redis.call('ZUNIONSTORE', KEYS[1], 1, KEYS[1], 'WEIGHTS', '0.8')
for i = 3, #ARGV, 2 do redis.call('ZINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`,
  inMemory(world, [list = ''], [most, ms, ...pairs]) {
    const held = world.call('ZRANGE', list, '0', '-1', 'WITHSCORES') as Buffer[]
    for (let i = 0; i < held.length; i += 2) {
      world.call('ZADD', list, String(Number(held[i + 1]) * 0.8), held[i] as Buffer)
    }
    for (let i = 0; i < pairs.length; i += 2) world.call('ZINCRBY', list, pairs[i] as Buffer, pairs[i + 1] as Buffer)
    world.call('ZREMRANGEBYRANK', list, '0', String(-1 - Number(most)))
    world.call('PEXPIRE', list, ms as Buffer)
    return 1
  },
})

const listKeptMs = 7 * 86_400_000
/** A node that came back with no more than this part of its keys came back cold. */
const coldBelow = 0.1
const fewestKeys = 100

export function startWarmUp(
  core: Core,
  keys: KeySpace,
  load: (key: string) => Promise<unknown>,
  options: WarmUpOptions,
): WarmUp {
  return new HottestFirst(core, keys, load, options)
}

class HottestFirst implements WarmUp {
  readonly #core: Core
  readonly #keys: KeySpace
  readonly #load: (key: string) => Promise<unknown>
  readonly #perSecond: number
  readonly #most: number
  readonly #everyMs: number
  readonly #list: string
  readonly #stopListening: () => void
  /** How many keys each primary had when it was last looked at. */
  readonly #sizes = new Map<string, number>()
  #running: Promise<number> | undefined
  #cancel: (() => void) | undefined
  #endPause: (() => void) | undefined
  #stopped = false

  constructor(core: Core, keys: KeySpace, load: (key: string) => Promise<unknown>, options: WarmUpOptions) {
    this.#core = core
    this.#keys = keys
    this.#load = load
    this.#perSecond = ratioOf(options.perSecond ?? 50, 'perSecond', 0.1, 100_000)
    this.#most = countOf(options.most ?? 1000, 'most', 1, 100_000)
    this.#everyMs = Math.max(100, durationMs(options.every ?? '10s', 'every'))
    this.#list = keys.stateKey(`hot/${keys.path}`)
    this.#stopListening = core.engine.on('linked', ({ node }) => {
      this.#look(node).catch(() => {})
    })
    core.closesWithMe(async () => this.stop())
    this.#next()
  }

  run(): Promise<number> {
    this.#running ??= this.#refill().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async publish(): Promise<void> {
    const { engine, hot } = this.#core
    const here = hot.list().flatMap(({ key, score }) => {
      const own = this.#keys.userKey(key)
      return own?.path === this.#keys.path && score > 0 ? [String(score), own.key] : []
    })
    if (here.length === 0) return
    const args = [String(this.#most), String(listKeptMs), ...here]
    const commands = [{ script: addHot, keys: [this.#list], args }]
    await engine.send({ commands, key: this.#list, deadlineAt: this.#core.deadlineAt(), kind: 'write' })
  }

  stop(): void {
    this.#stopped = true
    this.#stopListening()
    this.#cancel?.()
    this.#endPause?.()
  }

  #next(): void {
    const { clock } = this.#core
    if (this.#stopped) return
    this.#cancel = clock.after(this.#everyMs * (0.5 + clock.random()), () => {
      // The engine may be away; the next time comes.
      this.publish()
        .then(() => this.#count())
        .then((sizes) => this.#remember(sizes))
        .catch(() => {})
        .finally(() => this.#next())
    })
  }

  /** Whether the node that is there again still has its keys. A replica that took over has a name without a past. */
  async #look(node: string): Promise<void> {
    const before = this.#sizes.get(node) ?? 0
    if (before < fewestKeys || this.#stopped) return
    const sizes = await this.#count()
    const size = sizes.get(node)
    // It went away again; its next link brings us back.
    if (size === undefined || size > before * coldBelow) return
    this.#remember(sizes)
    this.#core.events.emit('cold', { node })
    await this.run()
  }

  /** A node that is away just now keeps its number: it is what it will be compared with. */
  #remember(sizes: ReadonlyMap<string, number>): void {
    for (const [node, size] of sizes) this.#sizes.set(node, size)
  }

  async #count(): Promise<ReadonlyMap<string, number>> {
    const { engine } = this.#core
    const deadlineAt = this.#core.deadlineAt()
    const sizes = new Map<string, number>()
    await Promise.allSettled(
      engine.primaryKeys().map(async (key) => {
        // Patient: a node that has just been linked is used a moment later.
        const call = { commands: [['DBSIZE']], key, deadlineAt, kind: 'read', patient: true } as const
        const { replies, link } = await engine.send(call)
        sizes.set(link.node, (sizes.get(link.node) ?? 0) + Number(replies[0]))
      }),
    )
    return sizes
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#core.clock.after(ms, resolve)
      this.#endPause = () => {
        cancel()
        resolve()
      }
    })
  }

  async #refill(): Promise<number> {
    const { engine, hot, clock } = this.#core
    const commands = [['ZREVRANGE', this.#list, '0', String(this.#most - 1), 'WITHSCORES']]
    const deadlineAt = this.#core.deadlineAt()
    const listed = await engine
      .send({ commands, key: this.#list, deadlineAt, kind: 'read' })
      .then(({ replies }) => scoresOf(replies[0]))
      // A list that the engine lost: what is hot here is known here.
      .catch(() => [])
    const own = hot.list().flatMap(({ key, score }) => {
      const found = this.#keys.userKey(key)
      return found?.path === this.#keys.path ? [{ key: found.key, score }] : []
    })
    const wanted = mergeScores(own, listed).slice(0, this.#most)
    const everyMs = 1000 / this.#perSecond
    const begunAt = clock.monotonic()
    let warm = 0
    const loads: Promise<void>[] = []
    for (const [index, key] of wanted.entries()) {
      const waitMs = begunAt + index * everyMs - clock.monotonic()
      if (waitMs > 0) await this.#pause(waitMs)
      if (this.#stopped || this.#core.closed) break
      const count = (): void => {
        warm++
      }
      loads.push(this.#load(key).then(count, () => {}))
    }
    await Promise.all(loads)
    return warm
  }
}

interface Score {
  readonly key: string
  readonly score: number
}

/** Members with scores: pairs in RESP 3, one behind the other in RESP 2. */
function scoresOf(reply: unknown): Score[] {
  const flat = Array.isArray(reply) ? reply.flat() : []
  const scores: Score[] = []
  for (let i = 0; i + 1 < flat.length; i += 2) scores.push({ key: String(flat[i]), score: Number(flat[i + 1]) })
  return scores
}

/** Keys by their scores together, the hottest first. */
function mergeScores(...lists: (readonly Score[])[]): string[] {
  const sums = new Map<string, number>()
  for (const { key, score } of lists.flat()) sums.set(key, (sums.get(key) ?? 0) + score)
  return [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([key]) => key)
}
