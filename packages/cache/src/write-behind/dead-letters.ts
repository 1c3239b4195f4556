/**
 * Keys that the store would not take, put aside so that they hold nobody up.
 *
 * It is the key that is put aside, with its latest value, and not one write of it: nothing of it reaches the store out
 * of order. A newer write of the key takes its place, and takes the key back into the queue, because what was wrong may
 * well have been the value.
 */
import type { Clock } from '../clock.ts'
import { countOf } from '../duration.ts'
import type { Engine } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import { askPartitions } from './ask.ts'
import type { Partition, Partitions } from './partitions.ts'
import { textOf } from './script-calls.ts'
import { type Settled, settleCommand, settledOf, type Verdict } from './settle-script.ts'
import { scored } from './taking.ts'

export interface DeadLetter {
  /** For `replay` and `discard`: names this version, so that neither touches a newer one. */
  readonly id: string
  readonly key: string
  readonly version: number
  /** Whether the write was a delete. */
  readonly removes: boolean
  readonly tries: number
  /** Milliseconds since 1970, by the engine's clock. */
  readonly parkedAt: number
  /** What the store said the last time, the first 500 characters. It may quote the value. */
  readonly error: string
}

export interface DeadLetterPorts {
  readonly engine: Engine
  readonly clock: Clock
  readonly partitions: Partitions
  readonly deadlineMs: number
}

export class DeadLetters {
  readonly #ports: DeadLetterPorts

  constructor(ports: DeadLetterPorts) {
    this.#ports = ports
  }

  /** The longest parked first, at most `limit` (default 100). */
  async list({ limit = 100 }: { readonly limit?: number } = {}): Promise<readonly DeadLetter[]> {
    const most = countOf(limit, 'limit', 1, 100_000)
    const all = this.#ports.partitions.all
    const command = (partition: Partition) => ['ZRANGE', partition.parked, '0', `${most - 1}`, 'WITHSCORES']
    const answers = await this.#ask(
      'read',
      all.map((partition) => ({ partition, commands: [command(partition)] })),
    )
    const found = all.flatMap((partition, index) =>
      scored(answers[index]?.[0]).map(({ member, score }) => ({ partition, key: member, parkedAt: score })),
    )
    const oldest = found.sort((a, b) => a.parkedAt - b.parkedAt).slice(0, most)
    const fields = ['version', 'deleted', 'tries', 'error']
    const entries = await this.#ask(
      'read',
      oldest.map(({ partition, key }) => ({ partition, commands: [['HMGET', partition.entry(key), ...fields]] })),
    )
    return oldest.flatMap(({ key, parkedAt }, index) => {
      const [version, deleted, tries, error] = ((entries[index]?.[0] ?? []) as unknown[]).map(textOf)
      // A write, a replay or a discard has come in between.
      if (version === undefined || error === undefined) return []
      const letter = {
        key,
        version: Number(version),
        removes: deleted === '1',
        tries: Number(tries ?? 0),
        parkedAt,
        error,
      }
      return [{ id: `${version}:${key}`, ...letter }]
    })
  }

  /** Queues them again as if they had just come. Answers how many were there still. */
  replay(ids: readonly string[]): Promise<number> {
    return this.#decide('replay', ids)
  }

  /** Gives them up for good: the store keeps what it has. Answers how many were there still. */
  discard(ids: readonly string[]): Promise<number> {
    return this.#decide('discard', ids)
  }

  async #decide(kind: 'replay' | 'discard', ids: readonly string[]): Promise<number> {
    const byPartition = new Map<Partition, Verdict[]>()
    for (const id of new Set(ids)) {
      const [, version, key] = /^(\d{1,16}):(.+)$/su.exec(id) ?? []
      if (version === undefined || key === undefined) {
        throw new CacheError('INVALID', 'that is no id of a dead letter: take it from deadLetters.list()', {
          what: 'ids',
        })
      }
      const partition = this.#ports.partitions.of(key)
      const verdicts = byPartition.get(partition) ?? []
      byPartition.set(partition, verdicts)
      verdicts.push({ key, version: Number(version), kind })
    }
    const asked = [...byPartition].map(([partition, verdicts]) => ({
      partition,
      commands: [settleCommand(partition, verdicts, 0)],
    }))
    const answers = await this.#ask('write', asked)
    return answers.flatMap((answer): readonly Settled[] => settledOf(answer[0])).filter((word) => word === 'done')
      .length
  }

  async #ask(
    kind: 'read' | 'write',
    asked: Parameters<typeof askPartitions>[1],
  ): Promise<readonly (readonly unknown[])[]> {
    const { engine, clock, deadlineMs } = this.#ports
    const answers = await askPartitions(engine, asked, { deadlineAt: clock.monotonic() + deadlineMs, kind })
    return answers.map((answer) => {
      if (answer instanceof CacheError) throw answer
      return answer
    })
  }
}
