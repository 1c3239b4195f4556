/**
 * Where a written value is kept until the store has it.
 *
 * A key belongs to one of a fixed number of partitions, by its hash, and everything about a partition shares one hash
 * tag, so that one script changes a value, its version and its place in the queue together, also on a Cluster:
 *
 *     {p}:key:<key>   hash        what the key is to be: value or tombstone, its version, the operation that wrote it
 *     {p}:queue       sorted set  keys the store does not have yet, by when the first unsaved write of each came
 *     {p}:later       sorted set  keys whose save failed, by when they are tried again
 *     {p}:parked      sorted set  keys whose save failed too often, by when they were put aside: the dead letters
 *     {p}:state       hash        life, highest version, number of unsaved keys; owner, token and end of the lease
 *     {p}:operations  sorted set  operations of the last minute, by their version
 *
 * A set of keys, and not a stream of writes, because only the latest value of a key matters to the store: coalescing is
 * then by construction, the queue is bounded by the number of keys and not of writes, no value is kept twice, and "done"
 * is a compare-and-remove by version that may come late, twice or from a zombie. A stream would have to be trimmed, would
 * hold values that nobody wants any more, and would need its pending entries claimed after a death; here what is
 * unsaved simply still stands in the queue. What a set cannot give is the history of a key, and write-behind does not
 * promise that.
 */
export interface Partition {
  readonly number: number
  readonly queue: string
  readonly later: string
  readonly parked: string
  readonly state: string
  readonly operations: string
  /** The name of what is kept of a key. */
  entry(key: string): string
}

export class Partitions {
  readonly all: readonly Partition[]

  constructor(prefix: string, count: number) {
    this.all = Array.from({ length: count }, (_, number) => partition(`${prefix}{${number}}:`, number))
  }

  of(key: string): Partition {
    return this.all[hash(key) % this.all.length] as Partition
  }
}

function partition(start: string, number: number): Partition {
  return {
    number,
    queue: `${start}queue`,
    later: `${start}later`,
    parked: `${start}parked`,
    state: `${start}state`,
    operations: `${start}operations`,
    entry: (key) => `${start}key:${key}`,
  }
}

/** FNV-1a over UTF-8. All processes must agree on it for as long as something is queued. */
function hash(key: string): number {
  let hashed = 0x811c9dc5
  for (const byte of Buffer.from(key)) hashed = Math.imul(hashed ^ byte, 0x01000193)
  return hashed >>> 0
}
