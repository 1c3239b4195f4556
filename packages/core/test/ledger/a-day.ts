/** A deployment as its loop and its probe tell of it: three shards of two nodes, and things that happen to them. */
import type { Clue, HoldfastEvent, NodeState, NodeStatus, Status } from '../../src/index.ts'
import { evenSlots } from '../../src/index.ts'

export const began = 1_780_000_000_000
const calmSentence = '3 shards, 6 of 6 nodes in sync'

interface Node {
  readonly id: string
  readonly shard: string
  state: NodeState
  pid: number | null
  offset: number | null
  replid: string
}

export class Day {
  readonly clues: Clue[] = []
  readonly nodes: Node[] = [1, 2, 3, 4, 5, 6].map((number) => ({
    id: `node-${number}`,
    shard: `shard-${((number - 1) % 3) + 1}`,
    state: 'ok',
    pid: 100 + number,
    offset: 1000,
    replid: `history-${((number - 1) % 3) + 1}`,
  }))
  readonly primaries = new Map<string, string | null>([1, 2, 3].map((number) => [`shard-${number}`, `node-${number}`]))
  wanted: 'up' | 'down' = 'up'
  lease: 'held' | 'lost' = 'held'
  now = began
  #seq = 0
  #pid = 1000

  node(id: string): Node {
    return this.nodes.find((node) => node.id === id) as Node
  }

  primaryOf = (shard: string): string => this.primaries.get(shard) ?? ''

  replicaOf = (shard: string): string =>
    this.nodes.find((node) => node.shard === shard && node.id !== this.primaries.get(shard))?.id ?? ''

  wait(ms: number): this {
    this.now += ms
    return this
  }

  say(kind: HoldfastEvent['kind'], subject: string, because: string, cause: string | null = null): number {
    const seq = ++this.#seq
    const event = {
      seq,
      epoch: 1,
      at: this.now,
      deployment: 'shop',
      kind,
      subject,
      because,
      cause,
      actor: 'controller',
    }
    this.clues.push({ kind: 'event', event })
    return seq
  }

  /** A turn that says something, if it has anything to say, and shows how it is. */
  turn(because?: string): this {
    if (because !== undefined) this.say('turn', 'shop', because)
    this.now += 2
    this.clues.push({ kind: 'status', status: this.status(because) })
    return this
  }

  /** Turns in which nothing happens: long enough for anything to be over. */
  calm(seconds = 4): this {
    for (let second = 0; second < seconds; second++) this.wait(1000).turn()
    return this
  }

  look(shard: string, ms: number, writable: boolean): this {
    this.clues.push({ kind: 'look', look: { shard, from: this.now - ms, to: this.now, writable } })
    return this
  }

  die(id: string): this {
    Object.assign(this.node(id), { state: 'dead', pid: null })
    const { shard } = this.node(id)
    if (this.primaries.get(shard) === id) this.primaries.set(shard, null)
    return this
  }

  promote(shard: string): this {
    const isHeir = (one: Node): boolean =>
      one.shard === shard && one.state === 'ok' && one.id !== this.primaries.get(shard)
    const node = this.nodes.find(isHeir)
    if (node === undefined) return this
    node.replid = `${node.replid}'`
    this.primaries.set(shard, node.id)
    return this
  }

  restart(id: string): this {
    const node = this.node(id)
    const leader = this.nodes.find((one) => one.id === this.primaries.get(node.shard))
    Object.assign(node, { state: 'ok', pid: ++this.#pid, replid: leader?.replid ?? node.replid })
    if (leader === undefined) this.primaries.set(node.shard, id)
    return this
  }

  /** `kill -9` of the primary of a shard, from the first sign to the last. */
  death(shard: string): this {
    const dead = this.primaryOf(shard)
    const heir = this.replicaOf(shard)
    this.die(dead).turn(`${dead} (primary of ${shard}) is dead, ${heir} is in sync: promoting it`)
    this.wait(15).promote(shard).turn(`starting ${dead}: ${heir} is primary of ${shard}`)
    this.wait(40).look(shard, 60, false).look(shard, 5, true)
    return this.wait(300).restart(dead).turn(calmSentence)
  }

  status(because = calmSentence): Status {
    const isWell =
      this.nodes.every(({ state }) => state === 'ok') && [...this.primaries.values()].every((id) => id !== null)
    return {
      apiVersion: 1,
      name: 'shop',
      displayName: 'shop',
      topology: 'cluster',
      wanted: this.wanted,
      observedAt: this.now,
      specRevision: 1,
      settledRevision: 1,
      ready: isWell && this.wanted === 'up' ? 'yes' : 'no',
      because,
      copiesInSync: 2,
      lossWindow: '',
      controller: { id: 'one', epoch: 1, lease: this.lease },
      engine: null,
      shards: [...this.primaries].map(([id, primary], index) => ({
        id,
        slots: evenSlots(3).slice(index, index + 1),
        primary,
        replicas: this.nodes.filter((node) => node.shard === id && node.id !== primary).map((node) => node.id),
      })),
      sentinels: [],
      proxy: null,
      nodes: this.nodes.map((node) => this.#nodeStatus(node)),
      operations: [],
      users: ['app', 'replication', 'probe', 'admin'],
      paused: null,
    }
  }

  #nodeStatus({ id, shard, state, pid, offset, replid }: Node): NodeStatus {
    return {
      id,
      engineId: null,
      hostId: 'local',
      shard,
      host: '127.0.0.1',
      port: 7001,
      role: this.primaries.get(shard) === id ? 'primary' : 'replica',
      state,
      epoch: null,
      offset,
      replid,
      link: null,
      lag: null,
      ackAgeSeconds: null,
      drained: false,
      fence: null,
      pid,
      startFailure: null,
      pendingRestart: [],
      seenAt: state === 'ok' ? this.now : this.now - 2000,
      memoryBytes: null,
      memoryMaxBytes: null,
      opsPerSecond: null,
      keys: null,
      clients: null,
    }
  }
}
