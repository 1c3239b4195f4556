/** Reads from the queues what is due: plain reads, because whatever comes of them is compared by version. */
import type { Command, Engine } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import { askPartitions, type PartitionCommands } from './ask.ts'
import type { Partition } from './partitions.ts'
import { textOf } from './script-calls.ts'
import type { Taken } from './sink.ts'

export interface Found {
  readonly partition: Partition
  readonly taken: readonly Taken[]
  /** Keys in the queue of which nothing else is left. */
  readonly vanished: readonly string[]
  /** Whose token the partition has now. */
  readonly token: string | undefined
}

export interface TakeTerms {
  readonly batch: number
  readonly deadlineAt: number
}

/** Up to `batch` keys that are due, the longest waiting first, a fair part from each partition that has any. */
export async function takeDue(
  engine: Engine,
  partitions: readonly Partition[],
  terms: TakeTerms,
): Promise<readonly Found[]> {
  const { batch, deadlineAt } = terms
  const asked = fairPart(await dueKeys(engine, partitions, terms), batch)
  const answers = await ask(
    engine,
    asked.map(({ partition, keys }) => ({
      partition,
      commands: [['HGET', partition.state, 'token'], ...keys.map((key) => entryCommand(partition, key))],
    })),
    deadlineAt,
  )
  return asked.map(({ partition, keys }, index) => {
    const [token, ...entries] = answers[index] ?? []
    const read = keys.map((key, at) => takenOf(key, entries[at] as (Buffer | null)[] | undefined))
    return {
      partition,
      token: textOf(token),
      taken: read.filter((entry) => entry !== undefined),
      vanished: keys.filter((_, at) => read[at] === undefined),
    }
  })
}

interface Due {
  readonly partition: Partition
  readonly keys: readonly string[]
}

/** One key from each partition in turn, until there are enough. Keys of a partition keep their order. */
export function fairPart(due: readonly Due[], most: number): readonly Due[] {
  const taken = due.map(() => 0)
  let left = most
  for (let round = 0; left > 0; round++) {
    const open = due.flatMap(({ keys }, index) => (keys.length > round ? [index] : [])).slice(0, left)
    if (open.length === 0) break
    for (const index of open) taken[index] = round + 1
    left -= open.length
  }
  return due
    .map(({ partition, keys }, index) => ({ partition, keys: keys.slice(0, taken[index]) }))
    .filter(({ keys }) => keys.length > 0)
}

async function dueKeys(
  engine: Engine,
  partitions: readonly Partition[],
  { batch, deadlineAt }: TakeTerms,
): Promise<readonly Due[]> {
  const counts = await ask(
    engine,
    partitions.map((partition) => ({
      partition,
      commands: [
        ['ZCARD', partition.queue],
        ['ZCARD', partition.later],
      ],
    })),
    deadlineAt,
  )
  const some = partitions.filter((_, index) => (counts[index] ?? []).some((count) => Number(count) > 0))
  const most = `${Math.ceil(batch / Math.max(1, some.length)) - 1}`
  const names = await ask(
    engine,
    some.map((partition) => ({
      partition,
      commands: [
        ['TIME'],
        ['ZRANGE', partition.later, '0', most, 'WITHSCORES'],
        ['ZRANGE', partition.queue, '0', most],
      ],
    })),
    deadlineAt,
  )
  return some
    .map((partition, index) => {
      const [time, later, queue] = names[index] ?? []
      const now = Number(String((time as Buffer[] | undefined)?.[0] ?? 0)) * 1000
      const again = scored(later)
        .filter(({ score }) => score <= now)
        .map(({ member }) => member)
      return { partition, keys: [...again, ...((queue as Buffer[] | undefined) ?? []).map(String)] }
    })
    .filter(({ keys }) => keys.length > 0)
}

/** Pairs of a sorted set: one flat list in RESP 2, pairs and numbers in RESP 3. */
export function scored(reply: unknown): readonly { readonly member: string; readonly score: number }[] {
  const flat = ((reply ?? []) as unknown[]).flat()
  return flat.flatMap((member, at) =>
    at % 2 === 0 ? [{ member: String(member), score: Number(String(flat[at + 1])) }] : [],
  )
}

const entryCommand = (partition: Partition, key: string): Command => [
  'HMGET',
  partition.entry(key),
  'version',
  'operation',
  'tries',
  'deleted',
  'value',
  'codec',
]

function takenOf(key: string, fields: (Buffer | null)[] | undefined): Taken | undefined {
  const [version, operation, tries, deleted, value, codec] = fields ?? []
  if (version === null || version === undefined) return undefined
  return {
    key,
    version: Number(String(version)),
    operation: textOf(operation) ?? '',
    tries: Number(textOf(tries) ?? 0),
    bytes: textOf(deleted) === '1' ? null : (value ?? Buffer.alloc(0)),
    codec: Number(textOf(codec) ?? 0),
  }
}

/** Partitions whose node does not answer are left for the next time. */
async function ask(engine: Engine, asked: readonly PartitionCommands[], deadlineAt: number) {
  if (asked.length === 0) return []
  const answers = await askPartitions(engine, asked, { deadlineAt, kind: 'read' })
  return answers.map((answer) => (answer instanceof CacheError ? undefined : answer))
}
