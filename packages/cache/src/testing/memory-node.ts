import { ReplyError } from '../engine/engine.ts'
import { slotOf } from '../engine/slots.ts'
import { globOf } from './memory-keys.ts'
import { Blocked, type CommandTable, type Keyspace, noKeys, required } from './memory-keyspace.ts'
import { parseCount } from './memory-numbers.ts'
import { MemoryStore } from './memory-store.ts'
import { Fields, type Reply, text } from './reply.ts'

/** What a connection to a node is told of. */
export interface NodeListener {
  /** Null: all keys. */
  tell(key: string | null): void
  died(because: string): void
  revived(): void
  thawed(): void
  /** Another node has the keys from here on. */
  replaced(because: string): void
}

export interface MemoryNodeOptions {
  readonly now: () => number
  readonly shard: number
  /** Null where there is no Cluster. */
  readonly slots: readonly [from: number, to: number] | null
  readonly maxEntries?: number
  readonly config: Readonly<Record<string, string>>
  /** How many copies acknowledge writes. */
  readonly replicas: () => number
  /** Gives a message to all that listen, and answers how many they are. */
  readonly publish: (channel: string, message: string) => number
}

/** One primary with its share of the keys, as its connections see it. */
export class MemoryNode {
  readonly shard: number
  readonly store: MemoryStore
  readonly listeners = new Set<NodeListener>()
  state: 'up' | 'frozen' | 'dead' = 'up'
  isFull = false
  /** Counts up with each failover, so that each primary has a name of its own. */
  #generation = 1
  /** Whose command is running: it is not told of its own changes. */
  #writer: NodeListener | null = null
  /** Blocked commands, which look again after every change. */
  readonly #waiting = new Set<() => void>()

  constructor(options: MemoryNodeOptions) {
    this.shard = options.shard
    this.store = new MemoryStore({
      now: options.now,
      ...(options.maxEntries === undefined ? {} : { maxEntries: options.maxEntries }),
      isFull: () => this.isFull,
      objection: (keys) => objectionTo(keys, options.slots),
      ownCommands: commandsAboutItself(options, () => this.store.keyspace.keys().length),
      changed: (key, by) => this.#tell(key, by === 'command' && key !== null ? this.#writer : null),
    })
  }

  get name(): string {
    return `memory-${this.shard + 1}.${this.#generation}:6379`
  }

  /**
   * Runs what one connection sent. Changes by scripts are told to the writer too, as the engine does (Redis 7.0): there
   * it is the script's own client that writes.
   */
  runFor<T>(writer: NodeListener | null, work: () => T): T {
    this.#writer = writer
    try {
      return work()
    } finally {
      this.#writer = null
    }
  }

  /** Calls after each change until the answer is called. */
  onChange(look: () => void): () => void {
    this.#waiting.add(look)
    return () => this.#waiting.delete(look)
  }

  lookAgain(): void {
    this.store.keyspace.tick()
    for (const look of Array.from(this.#waiting)) look()
  }

  die(): void {
    if (this.state === 'dead') return
    this.state = 'dead'
    for (const listener of this.listeners) listener.died(`${this.name} is dead`)
  }

  revive(empty: boolean): void {
    if (this.state !== 'dead') return
    this.state = 'up'
    // Nobody is connected yet, so nobody is told: what they hold must be compared.
    if (empty) this.runFor(null, () => this.store.keyspace.forget())
    for (const listener of this.listeners) listener.revived()
  }

  freeze(): void {
    if (this.state === 'up') this.state = 'frozen'
  }

  thaw(): void {
    if (this.state !== 'frozen') return
    this.state = 'up'
    for (const listener of this.listeners) listener.thawed()
  }

  failover(): void {
    const before = this.name
    this.#generation += 1
    this.state = 'up'
    for (const listener of this.listeners) listener.replaced(`${this.name} took over from ${before}`)
  }

  #tell(key: string | null, writer: NodeListener | null): void {
    for (const listener of this.listeners) if (listener !== writer) listener.tell(key)
  }
}

function objectionTo(keys: readonly Buffer[], slots: readonly [number, number] | null): ReplyError | undefined {
  const [first] = keys
  if (slots === null || first === undefined) return undefined
  const slot = slotOf(first.toString())
  if (keys.some((key) => slotOf(key.toString()) !== slot)) {
    return new ReplyError("CROSSSLOT Keys in request don't hash to the same slot")
  }
  if (slot >= slots[0] && slot <= slots[1]) return undefined
  return new ReplyError(`MOVED ${slot}: the call's key is of another node than its command's`)
}

type MemoryAnswer = (args: readonly Buffer[], keyspace: Keyspace) => Reply | Blocked

function commandsAboutItself(options: MemoryNodeOptions, size: () => number): CommandTable {
  const answer = (arity: number, run: MemoryAnswer) => ({
    arity,
    keys: noKeys,
    run: (keyspace: Keyspace, args: readonly Buffer[]) => run(args, keyspace),
  })
  return {
    PING: answer(-1, ([message]) => message ?? 'PONG'),
    ECHO: answer(2, (args) => required(args, 0)),
    TIME: answer(1, (_args, keyspace) => {
      const now = keyspace.now()
      return [text(String(Math.floor(now / 1000))), text(String((now % 1000) * 1000))]
    }),
    ROLE: answer(1, () => {
      const copies = Array.from({ length: options.replicas() }, (_, index) => [
        text(`memory-${options.shard + 1}-replica-${index + 1}`),
        text('6379'),
        text('0'),
      ])
      return [text('master'), 0, copies]
    }),
    INFO: answer(-1, () => text(info(options, size()))),
    CONFIG: answer(-2, ([verb, ...patterns]) => {
      if (verb?.toString().toUpperCase() !== 'GET' || patterns.length === 0) {
        return new ReplyError('ERR the memory engine only has CONFIG GET')
      }
      const wanted = patterns.map((pattern) => globOf(Buffer.from(pattern.toString().toLowerCase())))
      const found = Object.entries(options.config).filter(([name]) => wanted.some((glob) => glob.test(name)))
      return new Fields(found.map(([name, value]) => [text(name), text(value)]))
    }),
    WAIT: answer(3, (args) => {
      const wanted = parseCount(required(args, 0))
      const withinMs = parseCount(required(args, 1), 'ERR timeout is not an integer or out of range')
      if (withinMs < 0) return new ReplyError('ERR timeout is negative')
      const look = (): number | undefined => (options.replicas() >= wanted ? options.replicas() : undefined)
      return look() ?? new Blocked(withinMs === 0 ? null : withinMs, look, () => options.replicas())
    }),
    PUBLISH: answer(3, (args) => options.publish(required(args, 0).toString(), required(args, 1).toString())),
  }
}

function info(options: MemoryNodeOptions, size: number): string {
  const config = (name: string): string => options.config[name] ?? ''
  return [
    '# Server',
    'redis_version:7.0.15',
    `redis_mode:${options.slots === null ? 'standalone' : 'cluster'}`,
    '# Memory',
    `maxmemory_policy:${config('maxmemory-policy')}`,
    '# Persistence',
    'loading:0',
    `aof_enabled:${config('appendonly') === 'yes' ? 1 : 0}`,
    '# Replication',
    'role:master',
    `connected_slaves:${options.replicas()}`,
    '# Cluster',
    `cluster_enabled:${options.slots === null ? 0 : 1}`,
    '# Keyspace',
    ...(size === 0 ? [] : [`db0:keys=${size}`]),
    '',
  ].join('\r\n')
}
