/**
 * Lives a day: several processes over one engine in memory, a source of truth, time that a hand moves, and faults. Every
 * answer is judged when it comes, and everything once more whenever it is quiet.
 *
 * What the memory engine does not model, and so nothing here can find: replicas that lag and writes that are lost in a
 * failover, commands that a dead connection left in the node's socket and that are done later, slots that move while
 * they are used, eviction under a memory limit, and real sockets, with answers and pushes that come in one piece.
 */
import { CacheError } from '../../src/errors.ts'
import { HandClock } from '../../src/testing/hand-clock.ts'
import type { MemoryEngine } from '../../src/testing/memory-engine.ts'
import { MemoryServer } from '../../src/testing/memory-server.ts'
import { type Change, type Day, type Fault, type Key, type Load, type Step, type Tag, tagsOf, tellStep } from './day.ts'
import { Laws, type Read } from './laws.ts'
import { Process } from './process.ts'
import { Source, type Value } from './source.ts'

const keys = Object.keys(tagsOf) as Key[]
const freeKeys = keys.filter((key) => key !== 'stored')
/** Longer than any retry, lock or trust. */
const quietMs = 4000
const atOnce: Load = { beforeMs: 0, afterMs: 0, fails: false }

/** How long a call may take at all: deadlines of the engine, one behind the other, locks of the dead, and loads. */
const mostMs: Readonly<Record<string, number>> = { get: 1000, getMany: 1000, getOrSet: 15_000, write: 1500 }

class SourceFailed extends Error {}

export class World {
  readonly day: Day
  readonly clock: HandClock
  readonly laws: Laws
  readonly story: string[] = []
  /** How long the longest call of each way took. */
  readonly longestMs = new Map<string, number>()
  readonly #server: MemoryServer
  readonly #source = new Source()
  readonly #operator: MemoryEngine
  readonly #processes: Process[]
  readonly #closing: Promise<void>[] = []
  /** What the store does for each process when it writes next: one at a time writes through. */
  readonly #saving = new Map<string, { readonly ms: number; readonly version: number }>()
  #restarts = 0

  constructor(day: Day) {
    this.day = day
    this.clock = new HandClock({ seed: day.seed })
    this.#server = new MemoryServer({ clock: this.clock, shards: day.shards })
    this.#operator = this.#server.connect()
    this.laws = new Laws({
      source: this.#source,
      now: () => this.clock.monotonic(),
      ttlMs: day.options.ttl,
      isFair: day.weather === 'fair',
      delayMs: day.delayMs,
    })
    this.#processes = Array.from({ length: day.processes }, (_, index) => this.#start(`process ${index}`))
  }

  /** Everything that was wrong that day. */
  async live(): Promise<readonly string[]> {
    await this.clock.advance(0)
    for (const step of this.day.steps) {
      this.#tell(tellStep(step))
      await this.#take(step)
      if (this.laws.violations.length > 0) break
    }
    const violations = [...this.laws.violations]
    if (violations.length > 0) {
      await this.#close()
      return violations
    }
    await this.#endDay()
    return this.laws.violations
  }

  async #take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'wait':
        return this.clock.advance(step.ms)
      case 'breathe':
        for (let turn = 0; turn < step.turns; turn++) await Promise.resolve()
        return
      case 'read':
        return this.#read(this.#process(step.by), step)
      case 'change':
        return this.#change(this.#process(step.by), step)
      case 'fault':
        return this.#hurt(step.by, step.shard, step.fault)
      case 'quiet':
        return this.#beQuiet()
      default:
        return step satisfies never
    }
  }

  #process(by: number): Process {
    const found = this.#processes[by]
    if (found === undefined) throw new Error(`there is no process ${by}`)
    return found
  }

  #start(name: string): Process {
    const started = new Process(name, this.#server, this.day.options, {
      load: async (key) => {
        await this.#pass(1)
        const { version, absent } = this.#source.latest(key as Key)
        return absent ? undefined : { value: { key: key as Key, version, madeAt: null }, version }
      },
      save: async ({ value }) => {
        const { ms, version } = this.#saving.get(name) ?? { ms: 0, version: 0 }
        await this.#pass(ms)
        this.#source.put('stored', { version, absent: value === undefined })
        return { version }
      },
    })
    started.engine.faults.delay(this.day.delayMs)
    started.cache.listen('unfilled', ({ key, because }) => this.#tell(`  ${name}: ${key} is not filled: ${because}`))
    started.cache.listen('settled', () => this.laws.settle(started, 'settled'))
    return started
  }

  #read(by: Process, { way, keys: wanted, load }: Extract<Step, { kind: 'read' }>): void {
    switch (way) {
      case 'peek':
        for (const key of wanted) this.#peek(by, key)
        return
      case 'get':
        for (const key of wanted) void this.#get(by, key)
        return
      case 'getMany':
        return void this.#getMany(by, wanted)
      case 'getOrSet':
        for (const key of wanted) void this.#getOrSet(by, key, load)
        return
      default:
        return way satisfies never
    }
  }

  #reading(by: Process, way: Read['way'], key: Key, floor = this.laws.floor(key, by)): Read {
    return { by: by.name, way, key, floor }
  }

  #peek(by: Process, key: Key): void {
    this.laws.answered(this.#reading(by, 'peek', key), by.cache.peek<Value>(key), false)
  }

  async #get(by: Process, key: Key, floor?: number): Promise<void> {
    const read = this.#reading(by, 'get', key, floor)
    const found = await this.#call('get', by, () => by.cache.get<Value>(key, { meta: true }))
    if (found === undefined) return
    this.#tell(
      `  ${by.name}: ${read.way} of ${key}: ${found.value?.version} from ${found.source}${found.stale ? ', stale' : ''}`,
    )
    this.laws.answered(read, found.value, found.stale)
  }

  async #getMany(by: Process, wanted: readonly Key[]): Promise<void> {
    // Whether a value is stale is not said here, and so it must not be old.
    const reads = wanted.map((key) => this.#reading(by, 'getMany', key))
    const found = await this.#call('getMany', by, () => by.cache.getMany<Value>(wanted))
    if (this.day.weather === 'fair') reads.forEach((read, index) => this.laws.answered(read, found?.[index], false))
  }

  async #getOrSet(by: Process, key: Key, load: Load, floor?: number): Promise<void> {
    const read = this.#reading(by, 'getOrSet', key, floor)
    const calledAt = this.clock.monotonic()
    const loader = ({ signal }: { signal: AbortSignal }) => this.#load(key, load, calledAt, signal)
    const options = { meta: true, tags: tagsOf[key] } as const
    const found = await this.#call('getOrSet', by, () => by.cache.getOrSet<Value | undefined>(key, loader, options))
    if (found === undefined) return
    this.#tell(
      `  ${by.name}: ${read.way} of ${key}: ${found.value?.version} from ${found.source}${found.stale ? ', stale' : ''}`,
    )
    this.laws.answered(read, found.value, found.stale)
  }

  async #load(key: Key, load: Load, calledAt: number, signal: AbortSignal): Promise<Value | undefined> {
    const running = this.laws.beginLoad(key, calledAt)
    this.#tell(`  a load of ${key} begins`)
    let brought: 'value' | 'nothing' = 'nothing'
    try {
      await this.#pass(load.beforeMs, signal)
      const { version, absent } = this.#source.latest(key)
      await this.#pass(load.afterMs, signal)
      if (load.fails) throw new SourceFailed('the source failed')
      if (absent) return undefined
      brought = 'value'
      return { key, version, madeAt: this.clock.monotonic() }
    } finally {
      this.laws.endLoad(running, brought)
    }
  }

  async #change(by: Process, step: Extract<Step, { kind: 'change' }>): Promise<void> {
    const { what, absent, ms } = step
    const changed = keysOf(what)
    // Two who write one key at once need a lock of their own, whatever cache there is.
    const overtaking = what.way === 'set' || what.way === 'through' ? undefined : (['set', 'through'] as const)
    if (this.laws.isChanging(changed, overtaking)) return
    if (what.way === 'through') return void this.#writeThrough(by, absent, ms)
    const way = what.way === 'set' && absent ? 'delete' : what.way
    const versions = new Map(changed.map((key) => [key, this.#source.change(key, absent).version]))
    const told = this.laws.begin(by, way, versions)
    void this.#call(way, by, () => this.#invalidate(by, what, way, versions)).then((stored) => {
      this.#tell(`  ${by.name}: ${way} of ${[...versions].join(' ')}: ${stored ?? 'failed'}`)
      this.laws.end(told, stored ?? 'lost')
      if (stored === 'pending') this.#lookWhetherSettled(by)
    })
  }

  #invalidate({ cache }: Process, what: Change, way: Change['way'], versions: ReadonlyMap<Key, number>) {
    if (what.way === 'tag') return cache.invalidateTags([what.tag])
    if (what.way === 'clear') return cache.clear()
    const { key } = what
    if (way === 'delete') return cache.delete(key)
    const value: Value = { key, version: versions.get(key) ?? 0, madeAt: this.clock.monotonic() }
    return cache.set(key, value, { tags: tagsOf[key] })
  }

  async #writeThrough(by: Process, absent: boolean, ms: number): Promise<void> {
    const version = this.#source.nextVersion()
    this.#saving.set(by.name, { ms, version })
    const told = this.laws.begin(by, 'through', new Map<Key, number>([['stored', version]]))
    const value: Value = { key: 'stored', version, madeAt: null }
    const written = await this.#call('through', by, () =>
      absent ? by.through.delete('stored') : by.through.set('stored', value),
    )
    this.#tell(`  ${by.name}: through ${version}: ${written?.cache ?? 'failed'}`)
    this.laws.end(told, written?.cache ?? 'lost')
    if (written?.cache === 'pending') this.#lookWhetherSettled(by)
  }

  /** A call that is judged by whether and how it ends; undefined where it failed as it may. */
  async #call<T>(way: string, by: Process, work: () => Promise<T>): Promise<T | undefined> {
    const begunAt = this.clock.monotonic()
    const call = { what: `${by.name}: ${way}`, begunAt }
    this.laws.calls.add(call)
    try {
      return await work()
    } catch (error) {
      const isEnded = error instanceof CacheError && error.code === 'CLOSED' && by.cache.status().closed
      const isLoads = error instanceof SourceFailed && way === 'getOrSet'
      const isLate = error instanceof CacheError && error.code === 'LOADER_TIMEOUT' && way === 'getOrSet'
      if (!isEnded && !isLoads && !isLate) this.laws.note('errors', `${call.what} failed: ${String(error)}`)
      return undefined
    } finally {
      this.laws.calls.delete(call)
      const ms = this.clock.monotonic() - begunAt
      this.longestMs.set(way, Math.max(this.longestMs.get(way) ?? 0, ms))
      const most = mostMs[way] ?? mostMs['write'] ?? 0
      if (ms > most) this.laws.note('slow', `${call.what} took ${ms} ms, more than ${most}`)
    }
  }

  #lookWhetherSettled(by: Process): void {
    if (by.cache.status().pending === 0) this.laws.settle(by, by.cache.status().closed ? 'lost' : 'settled')
  }

  #hurt(by: number, shard: number, fault: Fault): void {
    const victim = this.#process(by)
    const { faults } = victim.engine
    switch (fault.kind) {
      case 'delay':
        return faults.delay(fault.ms)
      case 'failNext':
      case 'loseReply':
        return faults[fault.kind](fault.times)
      case 'reviveEmpty':
        return faults.revive({ shard, empty: true })
      case 'evictTags':
        return this.#evictTags()
      case 'jump':
        victim.clock.wrongByMs += fault.ms
        this.laws.clocksAgree = false
        return
      case 'restart':
        return this.#restart(by)
      default:
        return faults[fault.kind]({ shard })
    }
  }

  #evictTags(): void {
    for (const tag of ['', 'red', 'blue']) {
      const key = `shop:t:/${tag}`
      const deadlineAt = this.clock.monotonic() + 100
      this.#operator.send({ commands: [['DEL', key]], key, deadlineAt, kind: 'write' }).catch(() => {})
    }
  }

  #restart(by: number): void {
    const victim = this.#process(by)
    this.laws.settle(victim, 'lost')
    // What it was just loading is loaded by others, too.
    for (const key of keys) this.laws.disturb(key)
    this.#closing.push(victim.cache.close())
    this.#restarts++
    this.#processes[by] = this.#start(`process ${by}.${this.#restarts}`)
  }

  #heal(): void {
    for (const { engine } of this.#processes) {
      engine.faults.thaw()
      engine.faults.revive()
      engine.faults.roomy()
      engine.faults.mendLink()
      engine.faults.delay(this.day.delayMs)
    }
  }

  async #beQuiet(): Promise<void> {
    this.#heal()
    await this.clock.advance(quietMs)
    // What was to fail or to be lost is taken by somebody by now, or it is taken here.
    for (const { engine } of this.#processes) {
      for (let turn = 0; turn < 20; turn++) {
        const call = {
          commands: [['PING']],
          key: null,
          deadlineAt: this.clock.monotonic() + 1000,
          kind: 'read',
        } as const
        engine.send(call).catch(() => {})
      }
    }
    await this.clock.advance(quietMs)
    for (const by of this.#processes) {
      this.#lookWhetherSettled(by)
      const { pending } = by.cache.status()
      if (pending > 0) this.laws.note('pending', `${by.name} still has ${pending} changes pending when all is well`)
    }
    await this.#judge()
  }

  /** Asks everybody for everything: nobody may answer what is older than what was told. */
  async #judge(): Promise<void> {
    for (const by of this.#processes) {
      for (const key of keys) {
        const read = this.#reading(by, 'peek', key, this.laws.floor(key, 'all'))
        this.laws.answered(read, by.cache.peek<Value>(key), false)
        void this.#get(by, key, read.floor)
        await this.clock.advance(100)
      }
    }
    for (const by of this.#processes) {
      for (const key of freeKeys) {
        void this.#getOrSet(by, key, atOnce, this.laws.floor(key, 'all'))
        await this.clock.advance(100)
      }
    }
  }

  /** After the last quiet: nothing is under way, timers end with their caches, and keys with their time. */
  async #endDay(): Promise<void> {
    await this.clock.advance(10_000)
    for (const { what, begunAt } of this.laws.calls) {
      this.laws.note('unsettled', `${what}, begun ${this.clock.monotonic() - begunAt} ms ago, has not ended`)
    }
    for (const { name, cache } of this.#processes) {
      const { loads, nodes } = cache.status()
      const waiting = nodes.reduce((sum, node) => sum + node.pending, 0)
      if (loads.running + loads.waiting + waiting > 0) {
        this.laws.note('busy', `${name} still has ${loads.running} loads and ${waiting} commands under way`)
      }
    }
    await this.#close()
    if (this.clock.waiting > 0) this.laws.note('timers', `${this.clock.waiting} timers outlive their caches`)
    await this.clock.advance(40 * 86_400_000)
    for (const { store, shard } of this.#server.nodes) {
      store.keyspace.tick()
      const left = store.keyspace.keys().map(String)
      for (const key of left) this.laws.note('left', `${key} is left on shard ${shard}`)
    }
  }

  async #close(): Promise<void> {
    for (const { cache } of this.#processes) this.#closing.push(cache.close())
    this.#closing.push(this.#operator.close())
    await this.clock.advance(2000)
    await Promise.all(this.#closing)
    await this.clock.advance(5000)
  }

  /** Time passes for a source; a load that was given up ends at once. */
  #pass(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const cancel = this.clock.after(ms, resolve)
      signal?.addEventListener('abort', () => {
        cancel()
        reject(signal.reason)
      })
    })
  }

  #tell(line: string): void {
    this.story.push(`${((this.clock.monotonic() - 1_000_000) / 1000).toFixed(3)} s ${line}`)
  }
}

function keysOf(what: Change): readonly Key[] {
  switch (what.way) {
    case 'tag':
      return freeKeys.filter((key) => (tagsOf[key] as readonly Tag[]).includes(what.tag))
    case 'clear':
      return freeKeys
    default:
      return [what.key]
  }
}
