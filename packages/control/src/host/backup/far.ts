/** Files on other hosts, as the shelf brings them here and there: a piece at a time. */
import type { BackupFile } from '@holdfast/core'
import { HoldfastError, parseBackupFile } from '@holdfast/core'
import type { Clock } from '../../clock.ts'
import type { HostPort } from '../host.ts'

/** Small enough that an agent that takes or gives one goes on answering everybody else in between. */
export const pieceBytes = 2 * 1024 ** 2
/** How long a machine may be silent before it is given up: longer than an agent takes to be started again. */
const patienceMs = 10_000
const againMs = 250
/** How long after it was sent a piece may still be written. */
const receiveWithinMs = 10_000

export interface FarOptions {
  readonly deployment: string
  readonly hosts: ReadonlyMap<string, HostPort>
  readonly clock: Clock
  /** The epoch in which this controller acts. */
  readonly epoch: () => number
}

interface Part {
  readonly host: string
  readonly node: string
  readonly backup: string
  readonly shard: string
}

/** The agents of other hosts, asked again while they do not answer: what was brought so far stays where it is. */
export class Far {
  readonly #options: FarOptions

  constructor(options: FarOptions) {
    this.#options = options
  }

  /** What is known of a snapshot that lies beside a node. Throws UNREACHABLE_AGENT. */
  async record(from: Part, guard: () => void): Promise<BackupFile> {
    const text = Buffer.from(await this.#readPart(from, 'record', 0, guard)).toString('utf8')
    const record = parseBackupFile(text)
    if (record?.shard === from.shard) return record
    throw new HoldfastError(
      'BACKUP_DAMAGED',
      `what host ${from.host} tells of its snapshot of ${from.shard} is not readable`,
      {
        host: from.host,
      },
    )
  }

  /** A piece of it, from a place in the file on; empty where it ends there. */
  read(from: Part, at: number, guard: () => void): Promise<Uint8Array> {
    return this.#readPart(from, 'data', at, guard)
  }

  /** Puts a piece where it belongs in the file that a node shall start from. Throws UNREACHABLE_AGENT. */
  async write(
    to: { readonly host: string; readonly node: string; readonly restore: string; readonly of: number },
    at: number,
    piece: Uint8Array,
    guard: () => void,
  ): Promise<void> {
    const { deployment, epoch } = this.#options
    const host = this.#host(to.host)
    const { node, restore, of } = to
    const action = { kind: 'receive', node, restore, at, of, piece } as const
    const send = (): Promise<void> =>
      host.act({ deployment, controllerEpoch: epoch(), notAfter: host.now() + receiveWithinMs, action })
    await this.#patiently(send, guard)
  }

  #readPart(from: Part, what: 'record' | 'data', at: number, guard: () => void): Promise<Uint8Array> {
    const host = this.#host(from.host)
    const { node, backup, shard } = from
    const { deployment } = this.#options
    return this.#patiently(() => host.readPart({ deployment, node, backup, shard, what, at }), guard)
  }

  #host(name: string): HostPort {
    const host = this.#options.hosts.get(name)
    if (host !== undefined) return host
    throw new HoldfastError('UNREACHABLE_AGENT', `host ${name} is not reached from here`, { host: name })
  }

  async #patiently<T>(ask: () => Promise<T>, guard: () => void): Promise<T> {
    const { clock } = this.#options
    const until = clock.now() + patienceMs
    for (;;) {
      guard()
      try {
        return await ask()
      } catch (error) {
        if (!(error instanceof HoldfastError) || !passing.includes(error.code) || clock.now() >= until) throw error
      }
      await clock.sleep(againMs)
    }
  }
}

/** An agent that has just been started again knows of no node before it is asked to look, and of no clock that was told. */
const passing: readonly string[] = ['UNREACHABLE_AGENT', 'NOT_FOUND', 'REFUSED_EXPIRED']
