/**
 * The loop of a deployment that somebody else runs: look, tell, and nothing else. It has no host, no envelope and no
 * lease, so there is nothing by which it could act.
 */
import type { Adoption, Status } from '@holdfast/core'
import { describeForeignChanges, foreignStatus } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import type { Reach } from '../engine/reach.ts'
import type { Log } from '../log.ts'
import type { AdoptionStore, History } from '../store/store.ts'
import { ForeignLook } from './look.ts'

/** A large one is looked at less often: each look costs every node a CLUSTER NODES of all of them. */
const lookEveryMs = (nodes: number): number => Math.min(10_000, Math.max(1000, nodes * 20))

export interface WatchOptions {
  readonly name: string
  readonly controllerId: string
  readonly adoptions: AdoptionStore
  readonly history: History
  readonly clock: Clock
  readonly log: Log
  readonly onStatus: (status: Status) => void
  /** Where connections may lead, if it is guarded. */
  readonly reach: Reach
}

export class ForeignWatch {
  readonly #options: WatchOptions
  readonly #stopped = new AbortController()
  #look: ForeignLook | undefined
  #status: Status | undefined
  #toldTrouble = ''

  constructor(options: WatchOptions) {
    this.#options = options
  }

  get status(): Status | undefined {
    return this.#status
  }

  /** Looks until it is stopped, or forgotten. */
  async run(): Promise<void> {
    const { clock, log, name } = this.#options
    while (!this.#stopped.signal.aborted) {
      try {
        await this.look()
        this.#toldTrouble = ''
      } catch (error) {
        // What cannot be saved or told is said once; it is looked at again all the same.
        const said = String(error)
        if (said !== this.#toldTrouble) log.error({ deployment: name, err: error }, 'look failed')
        this.#toldTrouble = said
      }
      await clock.sleep(lookEveryMs(this.#status?.nodes.length ?? 0), this.#stopped.signal)
    }
  }

  /** A look that is under way ends as well: nobody waits for an engine that does not answer. */
  stop(): void {
    this.#stopped.abort()
    this.#close()
  }

  #close(): void {
    this.#look?.close()
    this.#look = undefined
  }

  /** One look. */
  async look(): Promise<void> {
    const { name, adoptions, clock, controllerId, onStatus } = this.#options
    const saved = adoptions.load(name)
    if (saved === undefined || this.#stopped.signal.aborted) return
    this.#look ??= new ForeignLook(clock, saved, this.#options.reach)
    const { adoption, observed } = await this.#look.look(saved)
    if (this.#stopped.signal.aborted) return
    const wallNow = Math.round(clock.wall())
    const before = this.#status
    const status = foreignStatus({ adoption, observed, controllerId, wallNow })
    this.#status = status
    onStatus(status)
    for (const change of describeForeignChanges(before, status, observed)) this.#append(change)
    if (before === undefined) this.#append({ kind: 'turn', subject: name, because: status.because })
    if (isElsewhere(saved, adoption)) await adoptions.relocate(adoption)
  }

  #append(change: Pick<Parameters<History['append']>[0], 'kind' | 'subject' | 'because'>): void {
    const { history, clock, name, controllerId } = this.#options
    const at = Math.round(clock.wall())
    history.append({ ...change, epoch: 0, at, deployment: name, cause: null, actor: `controller ${controllerId}` })
  }
}

const isElsewhere = (saved: Adoption, { nodes, sentinels }: Adoption): boolean =>
  JSON.stringify([saved.nodes, saved.sentinels]) !== JSON.stringify([nodes, sentinels])
