import { type Clock, systemClock } from '../clock.ts'
import { slotCount } from '../engine/slots.ts'
import { CacheError } from '../errors.ts'
import { MemoryEngine } from './memory-engine.ts'
import { MemoryNode } from './memory-node.ts'

export interface MemoryServerOptions {
  /** Default: the system's. A `HandClock` lets entries expire when the test says so. */
  readonly clock?: Clock
  /** More than one behave like a Cluster: keys are spread by their slots. Default 1. */
  readonly shards?: number
  /** How many copies each shard has. They answer reads and acknowledge writes. Default 0. */
  readonly replicas?: number
  /** For each shard: above that, the key that was used least lately is evicted. Default: no limit. */
  readonly maxEntries?: number
  /** What `CONFIG GET` and `INFO` say, such as `maxmemory-policy`. */
  readonly config?: Readonly<Record<string, string>>
}

export interface ConnectOptions {
  /** Prefixes of the keys whose changes are told. Default: none. */
  readonly track?: readonly string[]
}

const usualConfig = { 'maxmemory-policy': 'noeviction', maxmemory: '0', appendonly: 'no', save: '' }

/** The data that several engines share: open one for each process that a test plays. */
export class MemoryServer {
  readonly clock: Clock
  readonly nodes: readonly MemoryNode[]
  readonly #channels = new Map<string, Set<(text: string) => void>>()
  #replicas: number

  constructor(options: MemoryServerOptions = {}) {
    const { clock = systemClock, shards = 1, replicas = 0, maxEntries, config = {} } = options
    if (!Number.isInteger(shards) || shards < 1 || shards > 1000) {
      throw new CacheError('INVALID', `shards is a number from 1 to 1000, not ${shards}`)
    }
    this.clock = clock
    this.#replicas = replicas
    this.nodes = Array.from({ length: shards }, (_, shard) => {
      const from = Math.floor((shard * slotCount) / shards)
      const to = Math.floor(((shard + 1) * slotCount) / shards) - 1
      return new MemoryNode({
        now: () => clock.now(),
        shard,
        slots: shards === 1 ? null : [from, to],
        ...(maxEntries === undefined ? {} : { maxEntries }),
        config: { ...usualConfig, ...config },
        replicas: () => this.#replicas,
        publish: (channel, message) => this.#publish(channel, message),
      })
    })
  }

  connect({ track = [] }: ConnectOptions = {}): MemoryEngine {
    return new MemoryEngine(this, track)
  }

  get replicas(): number {
    return this.#replicas
  }

  /** So many copies acknowledge writes from here on. */
  acknowledge(replicas: number): void {
    this.#replicas = replicas
    for (const node of this.nodes) node.lookAgain()
  }

  listen(channel: string, hear: (text: string) => void): () => void {
    const listeners = this.#channels.get(channel) ?? new Set()
    this.#channels.set(channel, listeners)
    listeners.add(hear)
    return () => {
      listeners.delete(hear)
      if (listeners.size === 0 && this.#channels.get(channel) === listeners) this.#channels.delete(channel)
    }
  }

  #publish(channel: string, message: string): number {
    const listeners = [...(this.#channels.get(channel) ?? [])]
    for (const hear of listeners) hear(message)
    return listeners.length
  }
}

/** An engine in this process with data of its own. `server.connect` opens others over the same data. */
export function memoryEngine(options: MemoryServerOptions & ConnectOptions = {}): MemoryEngine {
  return new MemoryServer(options).connect(options)
}
