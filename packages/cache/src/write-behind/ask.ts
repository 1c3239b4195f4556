/** Sends one command for each of many partitions, in as few calls as the engine allows. */
import { type Call, type Command, type Engine, ReplyError } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import type { Partition } from './partitions.ts'

export interface PartitionCommands {
  readonly partition: Partition
  readonly commands: readonly Command[]
}

export type AskTerms = Pick<Call, 'deadlineAt' | 'kind'>

/** For each its replies, in their order, or the error that its node answered with. Never rejects. */
export async function askPartitions(
  engine: Engine,
  asked: readonly PartitionCommands[],
  { deadlineAt, kind }: AskTerms,
): Promise<readonly (readonly unknown[] | CacheError)[]> {
  const answers: (readonly unknown[] | CacheError)[] = []
  const keys = asked.map(({ partition }) => partition.state)
  await Promise.all(
    engine.group(keys).map(async (indexes) => {
      const commands = indexes.flatMap((index) => asked[index]?.commands ?? [])
      const key = keys[indexes[0] ?? 0] ?? null
      try {
        const { replies } = await engine.send({
          commands,
          key,
          deadlineAt,
          kind,
          idempotent: true,
          patient: true,
          bytes: true,
        })
        let from = 0
        for (const index of indexes) {
          const mine = replies.slice(from, (from += asked[index]?.commands.length ?? 0))
          const refused = mine.find((reply) => reply instanceof ReplyError)
          answers[index] = refused === undefined ? mine : refusal(refused)
        }
      } catch (error) {
        for (const index of indexes) answers[index] = cacheErrorOf(error)
      }
    }),
  )
  return answers
}

/** Words that time may change: the engine is full, has just changed roles, or has no copy left to write to. */
const passing = new Set([
  'OOM',
  'READONLY',
  'NOREPLICAS',
  'MISCONF',
  'LOADING',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'BUSY',
  'MASTERDOWN',
])

/** An error reply among others, as the engine would have thrown it for a lone command. */
export function refusal(reply: ReplyError): CacheError {
  const { word } = reply
  if (passing.has(word)) {
    return new CacheError('UNAVAILABLE', `the engine does not take it: ${word}`, { word }, reply)
  }
  return new CacheError('REFUSED', `the engine refuses it: ${word}`, { word }, reply)
}

export function cacheErrorOf(error: unknown): CacheError {
  return error instanceof CacheError ? error : new CacheError('UNAVAILABLE', 'the engine could not be asked', {}, error)
}
