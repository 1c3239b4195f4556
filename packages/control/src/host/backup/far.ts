/** Files on other hosts, as the shelf brings them here and there: a piece at a time. */
import type { BackupFile } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import type { Clock } from '../../clock.ts'
import type { HostPort } from '../host.ts'

/** Small enough that an agent that takes or gives one goes on answering everybody else in between. */
export const pieceBytes = 1024 ** 2
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

/** The agents of other hosts, asked again while they do not answer: what was brought so far stays where it is. */
export class Far {
  readonly #options: FarOptions

  constructor(options: FarOptions) {
    this.#options = options
  }

  /** A piece of a snapshot that lies beside a node, and what is known of the whole. Throws UNREACHABLE_AGENT. */
  async read(
    from: { readonly host: string; readonly node: string; readonly backup: string; readonly shard: string },
    at: number,
    guard: () => void,
  ): Promise<{ readonly record: BackupFile; readonly piece: Buffer }> {
    const { deployment } = this.#options
    const { node, backup, shard } = from
    const ask = this.#host(from.host).readPart.bind(this.#host(from.host))
    const { record, piece } = await this.#patiently(() => ask({ deployment, node, backup, shard, at }), guard)
    return { record, piece: Buffer.from(piece, 'base64') }
  }

  /** Puts a piece where it belongs in the file that a node shall start from. Throws UNREACHABLE_AGENT. */
  async write(
    to: { readonly host: string; readonly node: string; readonly restore: string; readonly of: number },
    at: number,
    bytes: Buffer,
    guard: () => void,
  ): Promise<void> {
    const { deployment, epoch } = this.#options
    const host = this.#host(to.host)
    const { node, restore, of } = to
    const action = { kind: 'receive', node, restore, at, of, piece: bytes.toString('base64') } as const
    const send = (): Promise<void> =>
      host.act({ deployment, controllerEpoch: epoch(), notAfter: host.now() + receiveWithinMs, action })
    await this.#patiently(send, guard)
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
