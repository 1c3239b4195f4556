/**
 * The shelf of this machine: where backups are that this controller takes. It keeps no memory of its works, because all
 * that they have done is on the disk: what is begun again after a kill finds what is whole there.
 */
import type { Envelope, JobSeen, ShelfJob, ShelfSeen } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import type { EngineBinary } from '../../binary/engine-binary.ts'
import type { Clock } from '../../clock.ts'
import type { HostPort } from '../host.ts'
import { Far } from './far.ts'
import { Jobs } from './jobs.ts'
import { workOnShelf } from './work.ts'

/** A deployment has 500 shards at most, and each is one work. */
const keptMax = 1000

export interface Shelf {
  look(deployment: string): ShelfSeen
  act(envelope: Envelope): Promise<void>
  /** Calls back when a work of a deployment ends. */
  onJobEnd(listener: (deployment: string) => void): void
}

export interface LocalShelfOptions {
  /** The address of this machine; null where it is the only one. */
  readonly at: () => string | null
  readonly clock: Clock
  /** Lets an order in, or refuses it: the same door as for the engines of this machine. */
  readonly enter: (envelope: Envelope) => () => void
  /** The epoch that was obeyed last on this machine. */
  readonly epoch: (deployment: string) => number
  readonly hosts: () => ReadonlyMap<string, HostPort>
  readonly binary: (deployment: string) => Promise<EngineBinary>
  /** Where engines are started for a trial. */
  readonly scratch: (deployment: string) => string
}

export class LocalShelf implements Shelf {
  readonly #options: LocalShelfOptions
  readonly #jobs = new Map<string, Jobs<ShelfJob>>()
  #listener: (deployment: string) => void = () => {}

  constructor(options: LocalShelfOptions) {
    this.#options = options
  }

  onJobEnd(listener: (deployment: string) => void): void {
    this.#listener = listener
  }

  look(deployment: string): ShelfSeen {
    return { at: this.#options.at(), jobs: this.#jobs.get(deployment)?.seen() ?? [] }
  }

  async act(envelope: Envelope): Promise<void> {
    const { deployment, action } = envelope
    this.#options.enter(envelope)
    if (action.kind === 'end-work') return this.#jobsOf(deployment).end(action.job)
    if (action.kind !== 'work') throw new HoldfastError('USAGE', `the shelf does not ${action.kind}`)
    // What is under way for long outlives its order's time, but not its controller's epoch.
    const stillOurs = this.#options.enter({ ...envelope, notAfter: Number.POSITIVE_INFINITY })
    this.#jobsOf(deployment).begin(action.job as ShelfJob, stillOurs)
  }

  /** Lets go of all: what was under way is begun again by whoever comes next. */
  close(): void {
    for (const jobs of this.#jobs.values()) jobs.close()
  }

  #jobsOf(deployment: string): Jobs<ShelfJob> {
    const known = this.#jobs.get(deployment)
    if (known !== undefined) return known
    const { clock, binary, scratch, hosts, epoch } = this.#options
    const far = new Far({ deployment, hosts: hosts(), clock, epoch: () => epoch(deployment) })
    const place = { deployment, clock, far, binary: () => binary(deployment), scratch: scratch(deployment) }
    let held: readonly JobSeen[] = []
    const jobs = new Jobs<ShelfJob>({
      memory: {
        read: () => held,
        write: (all) => {
          held = all
        },
      },
      keptMax,
      run: (job, watch) => workOnShelf(job, place, watch),
      onEnd: () => this.#listener(deployment),
    })
    this.#jobs.set(deployment, jobs)
    return jobs
  }
}
