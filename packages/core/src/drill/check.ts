/**
 * The checker: what was written against what is there. Nobody is asked how it went; each key is read from whoever owns
 * its slot in the end, and from every replica.
 *
 * - An acknowledged write whose key is absent, or holds another value, is lost.
 * - A key that could not be read is never counted as fine: it is unread.
 * - A key that is there although its write was called `failed` was misjudged: its client told its caller a falsehood.
 * - What the engine evicted is no loss. Nobody can tell an evicted key from a lost one, so where a shard evicted, only
 *   what is missing beyond that is counted.
 * - A key with two operations makes the record itself worthless, and is said.
 */
import type { DrillOperation } from './operation.ts'

/** What stood under a key. */
export type CopyRead = { readonly value: string } | 'absent' | 'unread'

export interface KeyRead {
  /** At the primary that owns the slot. */
  readonly owner: CopyRead
  /** At each replica of its shard, by node. */
  readonly replicas: Readonly<Record<string, CopyRead>>
}

export interface CheckInput {
  readonly operations: readonly DrillOperation[]
  /** By key. One that is not in it was not read. */
  readonly reads: ReadonlyMap<string, KeyRead>
  /** How many keys the engine evicted meanwhile, by shard. */
  readonly evicted: Readonly<Record<string, number>>
}

export interface LostWrite {
  readonly operation: DrillOperation
  /** What stands there instead: nothing, or what somebody else wrote. */
  readonly found: 'absent' | 'another value'
}

export interface DifferingCopy {
  readonly key: string
  readonly node: string
  readonly at: 'absent' | 'unread' | 'another value' | 'kept, and absent at the primary'
}

/** Acknowledged writes of a shard that are missing while the engine evicted: told together, since they look alike. */
export interface EvictedWrites {
  readonly shard: string
  readonly missing: number
  readonly evicted: number
  /** What cannot have been evicted: there were not so many evictions. */
  readonly lostAtLeast: number
}

export interface CheckResult {
  readonly acknowledged: number
  readonly failed: number
  readonly indeterminate: number
  /** Of the indeterminate ones: done after all. */
  readonly indeterminateDone: number
  readonly lost: readonly LostWrite[]
  readonly evicted: readonly EvictedWrites[]
  /** Keys of acknowledged writes that nobody could read: neither kept nor lost. */
  readonly unread: readonly string[]
  readonly differing: readonly DifferingCopy[]
  /** Copies compared, of all keys together. */
  readonly copiesRead: number
  readonly misjudged: readonly DrillOperation[]
  /** Keys that more than one operation wrote. */
  readonly contradictions: readonly string[]
}

export function checkOperations({ operations, reads, evicted }: CheckInput): CheckResult {
  const missing = operations.flatMap((operation) => missingWrite(operation, readOf(reads, operation.key)))
  const perhapsEvicted = evictedWrites(missing, evicted)
  const isPerhapsEvicted = ({ operation, found }: LostWrite): boolean =>
    found === 'absent' && perhapsEvicted.some(({ shard }) => shard === operation.shard)
  const differing = operations.flatMap(({ key }) => differingCopies(key, readOf(reads, key)))
  return {
    acknowledged: countOf(operations, 'ok'),
    failed: countOf(operations, 'failed'),
    indeterminate: countOf(operations, 'indeterminate'),
    indeterminateDone: operations.filter((one) => one.outcome === 'indeterminate' && isDone(one, reads)).length,
    lost: missing.filter((write) => !isPerhapsEvicted(write)),
    evicted: perhapsEvicted,
    unread: operations
      .filter(({ outcome, key }) => outcome === 'ok' && readOf(reads, key).owner === 'unread')
      .map(({ key }) => key),
    differing,
    copiesRead: [...reads.values()].reduce((sum, { replicas }) => sum + readCopies(replicas), 0),
    misjudged: operations.filter((one) => one.outcome === 'failed' && isDone(one, reads)),
    contradictions: keysWrittenTwice(operations),
  }
}

const notRead: KeyRead = { owner: 'unread', replicas: {} }

const readOf = (reads: ReadonlyMap<string, KeyRead>, key: string): KeyRead => reads.get(key) ?? notRead

const countOf = (operations: readonly DrillOperation[], wanted: DrillOperation['outcome']): number =>
  operations.filter(({ outcome }) => outcome === wanted).length

const readCopies = (replicas: KeyRead['replicas']): number =>
  Object.values(replicas).filter((copy) => copy !== 'unread').length

function isDone({ key, value }: DrillOperation, reads: ReadonlyMap<string, KeyRead>): boolean {
  const { owner } = readOf(reads, key)
  return typeof owner === 'object' && owner.value === value
}

function missingWrite(operation: DrillOperation, { owner }: KeyRead): LostWrite[] {
  if (operation.outcome !== 'ok' || owner === 'unread') return []
  if (owner === 'absent') return [{ operation, found: 'absent' }]
  return owner.value === operation.value ? [] : [{ operation, found: 'another value' }]
}

function evictedWrites(missing: readonly LostWrite[], evicted: CheckInput['evicted']): EvictedWrites[] {
  return Object.entries(evicted).flatMap(([shard, count]) => {
    const absent = missing.filter((write) => write.operation.shard === shard && write.found === 'absent').length
    if (count <= 0 || absent === 0) return []
    return [{ shard, missing: absent, evicted: count, lostAtLeast: Math.max(0, absent - count) }]
  })
}

/** A replica differs where it has something else than the primary; what the primary was not asked about is not compared. */
function differingCopies(key: string, { owner, replicas }: KeyRead): DifferingCopy[] {
  if (owner === 'unread') return []
  return Object.entries(replicas).flatMap(([node, copy]): DifferingCopy[] => {
    if (copy === 'unread') return [{ key, node, at: 'unread' }]
    if (copy === 'absent') return owner === 'absent' ? [] : [{ key, node, at: 'absent' }]
    if (owner === 'absent') return [{ key, node, at: 'kept, and absent at the primary' }]
    return copy.value === owner.value ? [] : [{ key, node, at: 'another value' }]
  })
}

function keysWrittenTwice(operations: readonly DrillOperation[]): string[] {
  const seen = new Set<string>()
  const twice = new Set<string>()
  for (const { key } of operations) {
    if (seen.has(key)) twice.add(key)
    seen.add(key)
  }
  return [...twice]
}
