/**
 * The tier inside the process: living values under two bounds, entries and bytes, with S3-FIFO to choose who leaves
 * (Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023).
 *
 * Most keys are asked for once. So a key begins in a *small* queue, a tenth of the room, and must be used twice there to
 * move on to the *main* queue; a scan runs through the small queue and never reaches the main one. What leaves the small
 * queue unused is remembered by a fingerprint in the *ghosts*, and goes straight to the main queue if it comes back. In
 * the main queue an entry that was used goes round once more for each use, up to three. A use adds one to a number in the
 * entry and moves nothing, and so a hit costs little more than looking into a Map. On Zipf's law there are more hits than
 * with LRU as long as most keys do not fit; where half of them fit and more, there is no difference worth a name.
 *
 * Pinned entries stand in a third queue from which nothing is evicted. They never have more than half of either bound,
 * so there is always somebody who can leave.
 *
 * Invariants: an entry is in the Map and in exactly one queue; the bytes of a queue are the sum of the bytes of its
 * entries; entries and bytes are never above the bounds, since room is made before an entry comes in.
 */
import { CacheError } from './errors.ts'
import { fingerprintOf } from './sketch.ts'

export interface LocalTierBounds<V> {
  readonly maxEntries: number
  readonly maxBytes: number
  /**
   * Is told of what had to leave for want of room, after it has left; not of what was deleted, replaced or cleared. Must
   * not throw, and must not change the tier.
   */
  readonly onEvict?: (key: string, value: V) => void
}

/** More uses than these make no difference. */
const mostUses = 3
/** Uses in the small queue that take an entry to the main queue. */
const provenUses = 2
/** The small queue's part of the room; found best by the paper over thousands of traces. */
const smallShare = 0.1
/** One value may have this part of the bytes, or it would push out too many others. */
const largestShare = 0.1
/** How many used entries one call lets go round before the oldest leaves all the same: a pause in a big tier has an end. */
const mostRounds = 1000

export class LocalTier<V> {
  /** How many entries had to leave for want of room. */
  evictions = 0
  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #onEvict: ((key: string, value: V) => void) | undefined
  readonly #nodes = new Map<string, Node<V>>()
  readonly #small = new Queue<V>()
  readonly #main = new Queue<V>()
  readonly #pinned = new Queue<V>()
  readonly #pinEnds = new Map<Node<V>, number>()
  /** No pin ends before. */
  #firstPinEnd = Number.POSITIVE_INFINITY
  readonly #ghosts = new Ghosts()
  /** Whether anybody had to leave since the tier was empty. */
  #wasFull = false

  constructor({ maxEntries, maxBytes, onEvict }: LocalTierBounds<V>) {
    for (const [name, bound] of Object.entries({ maxEntries, maxBytes })) {
      if (!Number.isSafeInteger(bound) || bound < 1) {
        throw new CacheError('INVALID', `${name} of a local tier is ${bound}: give a whole number from 1 up`, { name })
      }
    }
    this.#maxEntries = maxEntries
    this.#maxBytes = maxBytes
    this.#onEvict = onEvict
  }

  get size(): number {
    return this.#nodes.size
  }

  get bytes(): number {
    return this.#small.bytes + this.#main.bytes + this.#pinned.bytes
  }

  get(key: string): V | undefined {
    const node = this.#nodes.get(key)
    if (node === undefined) return undefined
    if (node.uses < mostUses) node.uses += 1
    return node.value
  }

  /** The same without counting as a use. */
  peek(key: string): V | undefined {
    return this.#nodes.get(key)?.value
  }

  /**
   * Holds a value that takes so many bytes, and answers whether it was taken: a value above a tenth of `maxBytes` is
   * not, and an older one of that key is dropped. With `now`, pins whose time is over end first.
   */
  set(key: string, value: V, bytes: number, now?: number): boolean {
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new CacheError('INVALID', `a value is said to have ${bytes} bytes: give a whole number from 0 up`, {
        bytes,
      })
    }
    if (now !== undefined) this.#endPins(now)
    if (bytes > this.#maxBytes * largestShare) {
      this.delete(key)
      return false
    }
    const held = this.#nodes.get(key)
    if (held !== undefined) {
      held.value = value
      if (held.bytes !== bytes) this.#resize(held, bytes)
      return true
    }
    this.#makeRoom(1, bytes)
    const node = new Node(key, value, bytes, this.#queueFor(key))
    this.#nodes.set(key, node)
    node.queue.push(node)
    return true
  }

  delete(key: string): boolean {
    const node = this.#nodes.get(key)
    if (node === undefined) return false
    this.#remove(node)
    return true
  }

  clear(): void {
    this.#nodes.clear()
    this.#pinEnds.clear()
    this.#small.clear()
    this.#main.clear()
    this.#pinned.clear()
    this.#ghosts.clear()
    this.#wasFull = false
  }

  /** All that is held, in the order in which it came. The tier may be changed meanwhile, as a Map may. */
  *entries(): IterableIterator<[string, V]> {
    for (const [key, node] of this.#nodes) yield [key, node.value]
  }

  /**
   * Keeps an entry from eviction until then, or longer if it is pinned for longer. Both times are of one clock, any.
   * Answers false where there is no such entry, or no room among the pinned: they are at most a hundredth of
   * `maxEntries`, or 16 if that is more, and at most half of either bound. A pin outlasts its time until the tier next
   * hears what time it is, from `set` or `pin`.
   */
  pin(key: string, untilMs: number, now: number): boolean {
    this.#endPins(now)
    const node = this.#nodes.get(key)
    if (node === undefined || !(untilMs > now)) return false
    const pinnedUntil = this.#pinEnds.get(node)
    if (pinnedUntil === undefined) {
      if (!this.#mayPin(node)) return false
      node.moveTo(this.#pinned)
    }
    if (pinnedUntil === undefined || untilMs > pinnedUntil) this.#pinEnds.set(node, untilMs)
    if (untilMs < this.#firstPinEnd) this.#firstPinEnd = untilMs
    return true
  }

  /**
   * Until the tier is full for the first time, what finds the small queue full goes to the main queue: else the first
   * keys of all would crowd the small one, and be thrown out together. The authors' own simulator does so, too.
   */
  #queueFor(key: string): Queue<V> {
    const smallIsFull =
      this.#small.length > this.#maxEntries * smallShare || this.#small.bytes > this.#maxBytes * smallShare
    return this.#ghosts.take(key) || (smallIsFull && !this.#wasFull) ? this.#main : this.#small
  }

  #mayPin(node: Node<V>): boolean {
    const most = Math.min(Math.max(16, Math.floor(this.#maxEntries / 100)), Math.floor(this.#maxEntries / 2))
    return this.#pinned.length < most && this.#pinned.bytes + node.bytes <= this.#maxBytes / 2
  }

  #unpin(node: Node<V>): void {
    this.#pinEnds.delete(node)
    node.moveTo(this.#main)
  }

  #endPins(now: number): void {
    if (now < this.#firstPinEnd) return
    this.#firstPinEnd = Number.POSITIVE_INFINITY
    for (const [node, end] of this.#pinEnds) {
      if (end <= now) this.#unpin(node)
      else if (end < this.#firstPinEnd) this.#firstPinEnd = end
    }
  }

  #resize(node: Node<V>, bytes: number): void {
    const more = bytes - node.bytes
    if (node.queue === this.#pinned && this.#pinned.bytes + more > this.#maxBytes / 2) this.#unpin(node)
    const { queue } = node
    // It steps out while room is made for it, so that it does not make room for itself.
    queue.remove(node)
    node.bytes = bytes
    this.#makeRoom(0, bytes)
    queue.push(node)
  }

  #makeRoom(entries: number, bytes: number): void {
    for (let rounds = 0; ; rounds += 1) {
      const tooMany = this.#nodes.size + entries > this.#maxEntries
      if (!tooMany && this.bytes + bytes <= this.#maxBytes) return
      const smallIsFull = tooMany
        ? this.#small.length > this.#maxEntries * smallShare
        : this.#small.bytes > this.#maxBytes * smallShare
      const oldest = (smallIsFull ? this.#small.oldest : undefined) ?? this.#main.oldest ?? this.#small.oldest
      // Cannot be: the pinned have half at most, and a value a tenth.
      if (oldest === undefined) return
      this.#passOver(oldest, rounds >= mostRounds)
    }
  }

  /** Lets the oldest of its queue go on or round if it was used, else evicts it. */
  #passOver(node: Node<V>, mustLeave: boolean): void {
    if (node.queue === this.#main && node.uses > 0 && !mustLeave) {
      node.uses -= 1
      node.moveTo(this.#main)
    } else if (node.queue === this.#small && node.uses >= provenUses) {
      node.uses = 0
      node.moveTo(this.#main)
    } else {
      if (node.queue === this.#small) this.#ghosts.add(node.key, this.#nodes.size)
      this.#remove(node)
      this.#wasFull = true
      this.evictions += 1
      this.#onEvict?.(node.key, node.value)
    }
  }

  #remove(node: Node<V>): void {
    this.#nodes.delete(node.key)
    node.queue.remove(node)
    if (node.queue === this.#pinned) this.#pinEnds.delete(node)
  }
}

class Node<V> {
  readonly key: string
  value: V
  bytes: number
  uses = 0
  queue: Queue<V>
  older: Node<V> | undefined = undefined
  newer: Node<V> | undefined = undefined

  constructor(key: string, value: V, bytes: number, queue: Queue<V>) {
    this.key = key
    this.value = value
    this.bytes = bytes
    this.queue = queue
  }

  moveTo(queue: Queue<V>): void {
    this.queue.remove(this)
    this.queue = queue
    queue.push(this)
  }
}

/** First in, first out, linked through the nodes themselves: anyone can step out, and nothing is allocated. */
class Queue<V> {
  length = 0
  bytes = 0
  oldest: Node<V> | undefined = undefined
  newest: Node<V> | undefined = undefined

  push(node: Node<V>): void {
    node.older = this.newest
    if (this.newest === undefined) this.oldest = node
    else this.newest.newer = node
    this.newest = node
    this.length += 1
    this.bytes += node.bytes
  }

  remove(node: Node<V>): void {
    const { older, newer } = node
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    if (newer === undefined) this.newest = older
    else newer.older = older
    node.older = undefined
    node.newer = undefined
    this.length -= 1
    this.bytes -= node.bytes
  }

  clear(): void {
    this.length = 0
    this.bytes = 0
    this.oldest = undefined
    this.newest = undefined
  }
}

/**
 * Fingerprints of keys that left unused, in two generations: when the younger is full the older is forgotten. That is a
 * queue to within half its length. Two keys with one fingerprint only mean that one of them is kept longer.
 */
class Ghosts {
  #younger = new Set<number>()
  #older = new Set<number>()

  /** Remembers at most as many as `most`. */
  add(key: string, most: number): void {
    if (this.#younger.size >= most / 2) {
      this.#older = this.#younger
      this.#younger = new Set()
    }
    this.#younger.add(fingerprintOf(key))
  }

  /** Whether it is remembered; it is no longer then. */
  take(key: string): boolean {
    const fingerprint = fingerprintOf(key)
    return this.#younger.delete(fingerprint) || this.#older.delete(fingerprint)
  }

  clear(): void {
    this.#younger.clear()
    this.#older.clear()
  }
}
