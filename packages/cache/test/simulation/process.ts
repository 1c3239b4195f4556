/** A process of the application: a cache over a connection of its own, by a clock of its own. */
import type { Cache } from '../../src/cache.ts'
import type { Clock } from '../../src/clock.ts'
import { createCache } from '../../src/create-cache.ts'
import type { CacheOptions } from '../../src/options.ts'
import type { Store } from '../../src/store.ts'
import type { MemoryEngine } from '../../src/testing/memory-engine.ts'
import type { MemoryServer } from '../../src/testing/memory-server.ts'
import type { WriteThrough } from '../../src/write-through.ts'
import type { Value } from './source.ts'

const namespace = 'shop'

/** The clock of one machine: its wall time may be wrong. */
export class MachineClock implements Clock {
  wrongByMs = 0
  readonly #true: Clock

  constructor(clock: Clock) {
    this.#true = clock
  }

  now(): number {
    return this.#true.now() + this.wrongByMs
  }

  monotonic(): number {
    return this.#true.monotonic()
  }

  /** Without a `this`: the dice are handed on by themselves. */
  readonly random = (): number => this.#true.random()

  after(ms: number, call: () => void): () => void {
    return this.#true.after(ms, call)
  }
}

export class Process {
  readonly name: string
  readonly clock: MachineClock
  readonly engine: MemoryEngine
  readonly cache: Cache
  readonly through: WriteThrough<Value>

  constructor(name: string, server: MemoryServer, options: CacheOptions, store: Store<Value>) {
    this.name = name
    this.clock = new MachineClock(server.clock)
    this.engine = server.connect({ track: [`${namespace}:v:`, `${namespace}:t:`] })
    this.cache = createCache({ ...options, namespace, engine: this.engine, clock: this.clock })
    this.through = this.cache.writeThrough(store)
  }
}
