/**
 * What goes wrong with engines, by name and on demand, for the tests of applications. Some faults are the node's, and
 * everybody who is connected sees them: it dies, freezes, fills up, is replaced. Others are of one connection's way.
 */
import { ReplyError } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import type { MemoryNode } from './memory-node.ts'

/** The way between one engine and its nodes; its lanes share it. */
export class Wire {
  delayMs = 0
  lostReplies = 0
  readonly failures: Error[] = []

  /** The error that the next call ends with, instead of being sent. */
  takeFailure(): Error | undefined {
    return this.failures.shift()
  }

  takeLostReply(): boolean {
    if (this.lostReplies === 0) return false
    this.lostReplies -= 1
    return true
  }
}

/** Which node; without it all of them. */
export interface Where {
  /** Counted from 0. */
  readonly shard?: number
}

export interface FaultyParts {
  readonly nodes: readonly MemoryNode[]
  readonly wire: Wire
  cutLinks(shard: number | undefined): void
  mendLinks(shard: number | undefined): void
  /** How many copies acknowledge writes from here on. */
  acknowledge(replicas: number): void
}

export class Faults {
  readonly #parts: FaultyParts

  constructor(parts: FaultyParts) {
    this.#parts = parts
  }

  /** The node is gone, as after `kill -9`: links die, calls are UNAVAILABLE at once, patient ones wait. */
  die(where: Where = {}): void {
    for (const node of this.#nodes(where)) node.die()
  }

  /** It is back with its data, or `empty` as after a start without a file. */
  revive({ empty = false, ...where }: Where & { readonly empty?: boolean } = {}): void {
    for (const node of this.#nodes(where)) node.revive(empty)
  }

  /** It takes everything and answers nothing, as after SIGSTOP: calls wait until their deadline. */
  freeze(where: Where = {}): void {
    for (const node of this.#nodes(where)) node.freeze()
  }

  /** It goes on, and does what it was sent meanwhile, whether or not anybody still waits for it. */
  thaw(where: Where = {}): void {
    for (const node of this.#nodes(where)) node.thaw()
  }

  /** A replica takes over with all data: the old link dies, there is another one, and `moved` is told. */
  failover(where: Where = {}): void {
    for (const node of this.#nodes(where)) node.failover()
  }

  /** Writes that need memory are refused with OOM; reads and deletes go on. */
  full(where: Where = {}): void {
    for (const node of this.#nodes(where)) node.isFull = true
  }

  /** There is memory again. */
  roomy(where: Where = {}): void {
    for (const node of this.#nodes(where)) node.isFull = false
  }

  /** So many copies acknowledge writes (`WAIT`) from here on. */
  acknowledge(replicas: number): void {
    this.#parts.acknowledge(replicas)
  }

  /** This engine is no longer told of changes, and knows it; its calls go on. */
  cutLink({ shard }: Where = {}): void {
    this.#parts.cutLinks(shard)
  }

  /** It is told again, over another link; what changed meanwhile is not told. */
  mendLink({ shard }: Where = {}): void {
    this.#parts.mendLinks(shard)
  }

  /** Answers, and what is told, are under way for so long. Default 0. */
  delay(ms: number): void {
    this.#parts.wire.delayMs = Math.max(0, ms)
  }

  /** The next `times` calls of this engine are not sent and end with this error. Default: UNAVAILABLE. */
  failNext(times: number, error: Error = new CacheError('UNAVAILABLE', 'a fault that the test asked for')): void {
    const failure =
      error instanceof ReplyError ? new CacheError('REFUSED', `the engine refused: ${error.message}`, {}, error) : error
    for (let index = 0; index < times; index++) this.#parts.wire.failures.push(failure)
  }

  /**
   * What is asked is done, but the next `times` answers are lost. A read or an idempotent write is sent again, which
   * may lose the next answer; any other write ends INDETERMINATE.
   */
  loseReply(times = 1): void {
    this.#parts.wire.lostReplies += times
  }

  #nodes({ shard }: Where): readonly MemoryNode[] {
    if (shard === undefined) return this.#parts.nodes
    const node = this.#parts.nodes[shard]
    if (node === undefined) {
      throw new CacheError('INVALID', `there is no shard ${shard}: the memory engine has ${this.#parts.nodes.length}`)
    }
    return [node]
  }
}
