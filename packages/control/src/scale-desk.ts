/**
 * The samples of each deployment, and what is decided by them. They are in memory alone: a controller that begins has none,
 * and is undecided until it has looked for long enough. Others that stand by look as well, and have theirs. The one that
 * acts asks for what was decided, as a person would: an operation that is kept, carried on by whoever acts, and readable.
 */
import { randomUUID } from 'node:crypto'
import type {
  AutoscaleAnswer,
  Document,
  LoadLook,
  LoadSample,
  Operation,
  OperationWish,
  Picture,
  ScaleDecision,
  ScaleRule,
  ScaleState,
  Spec,
  Status,
} from '@holdfast/core'
import {
  decideScale,
  frozenBecause,
  HoldfastError,
  lastScaleEndedAt,
  lookAtLoad,
  parseWish,
  policyOf,
  sampleOf,
  scaleWish,
  withSample,
} from '@holdfast/core'
import type { Clock } from './clock.ts'
import { findPlaces } from './free-places.ts'
import type { VacancyDesk } from './hosts/vacancies.ts'

export interface ScaleDeskOptions {
  readonly clock: Clock
  readonly vacancies: Pick<VacancyDesk, 'of'>
  readonly document: (name: string) => Document
  readonly status: (name: string) => Status | undefined
  /** Asks for another size. Throws REFUSED_UNSAFE, HOST_PORT_IN_USE, REFUSED_PLACEMENT. */
  readonly ask: (name: string, wish: OperationWish, actor: string) => Promise<Operation>
  /** Why it has another size from now on, or would have it and cannot. */
  readonly tell: (name: string, because: string) => void
}

interface Kept {
  /** The last reason that was told for doing nothing, so that it is told once. */
  readonly told?: ScaleRule
  readonly look: LoadLook
  readonly samples: readonly LoadSample[]
}

export class ScaleDesk {
  readonly #options: ScaleDeskOptions
  readonly #kept = new Map<string, Kept>()
  /** Those of whom another size is being asked for now. */
  readonly #asking = new Set<string>()

  constructor(options: ScaleDeskOptions) {
    this.#options = options
  }

  /** A turn has looked: where it is time for one, that is another sample, and whoever acts decides. */
  saw(name: string, picture: Picture, spec: Spec, acts: boolean): void {
    if (spec.topology !== 'cluster') return
    const { sampleEveryMs, out, in: into } = policyOf(spec)
    const kept = this.#kept.get(name)
    // Turns come about once a second: half a second early is nearer than half a second late.
    if (kept !== undefined && picture.at - kept.look.at < sampleEveryMs - turnMs / 2) return
    const look = lookAtLoad(picture)
    if (kept === undefined) return void this.#kept.set(name, { look, samples: [] })
    const keepMs = Math.max(out.forMs, into.forMs) + sampleEveryMs
    const limits = { keepMs, countMax: Math.ceil(keepMs / sampleEveryMs) + 1 }
    this.#kept.set(name, { ...kept, look, samples: withSample(kept.samples, sampleOf(kept.look, look), limits) })
    if (acts && spec.autoscale !== 'off') void this.#carryOut(name, spec)
  }

  async #carryOut(name: string, spec: Spec): Promise<void> {
    const status = this.#options.status(name)
    if (status === undefined || this.#asking.has(name)) return
    this.#asking.add(name)
    try {
      const decision = await this.#decide(status, this.#options.document(name), spec)
      const wish = scaleWish(decision)
      if (wish === null) return this.#hold(name, decision)
      this.#options.tell(name, decision.because)
      const { shards, requestedBy } = wish
      await this.#options.ask(name, { kind: 'scale', id: randomUUID(), subject: name, shards }, requestedBy)
    } catch (error) {
      // The next sample decides again; where it is refused each time, that is said once.
      this.#once(name, 'frozen', error instanceof Error ? error.message : String(error))
    } finally {
      this.#asking.delete(name)
    }
  }

  /** Who would grow and cannot is told so, once for each reason. */
  #hold(name: string, { rule, because }: ScaleDecision): void {
    if (rule === 'at-max' || rule === 'no-room') this.#once(name, rule, because)
    else if (rule === 'within') this.#once(name, rule, null)
  }

  #once(name: string, rule: ScaleRule, because: string | null): void {
    const kept = this.#kept.get(name)
    if (kept === undefined || kept.told === rule) return
    this.#kept.set(name, { ...kept, told: rule })
    if (because !== null) this.#options.tell(name, because)
  }

  forget(name: string): void {
    this.#kept.delete(name)
  }

  /** Throws NOT_FOUND, REFUSED_UNSAFE for what is no Cluster, UNREACHABLE_ENGINE where nobody has looked yet. */
  async answer(name: string): Promise<AutoscaleAnswer> {
    const document = this.#options.document(name)
    const spec = parseWish(document.spec)
    if (spec.topology !== 'cluster')
      throw new HoldfastError('REFUSED_UNSAFE', `${name} is no Cluster: its one primary cannot be shared out`, { name })
    const status = this.#options.status(name)
    if (status === undefined)
      throw new HoldfastError('UNREACHABLE_ENGINE', `nobody has looked at ${name} yet: try again in a second`)
    const toWall = this.#options.clock.wall() - this.#options.clock.now()
    const samples = this.#kept.get(name)?.samples ?? []
    return {
      deployment: name,
      autoscale: spec.autoscale === 'off' ? 'off' : 'on',
      policy: policyOf(spec),
      decision: await this.#decide(status, document, spec),
      samples: samples.map((sample) => ({ ...sample, at: Math.round(sample.at + toWall) })),
    }
  }

  /** Places are looked for only where somebody would go there. */
  async #decide(status: Status, document: Document, spec: Spec): Promise<ScaleDecision> {
    const { clock } = this.#options
    const now = clock.now()
    // What has just been asked for is in the document before any turn has seen it.
    const { operations } = document
    const endedAt = lastScaleEndedAt(operations)
    const state: ScaleState = {
      now,
      shards: status.shards.length,
      frozen: frozenBecause({ ...status, operations }),
      // Samples have a clock that nobody sets.
      lastActionEndedAt: endedAt === null ? null : now - (clock.wall() - endedAt),
      noRoom: null,
    }
    const samples = this.#kept.get(status.name)?.samples ?? []
    const decision = decideScale(policyOf(spec), samples, state)
    const noRoom = decision.action === 'out' ? await this.#noRoom(document, spec) : null
    return noRoom === null ? decision : decideScale(policyOf(spec), samples, { ...state, noRoom })
  }

  /** Why a shard with all its copies fits nowhere; null: it does. */
  async #noRoom(document: Document, spec: Spec): Promise<string | null> {
    const wishes = Array.from({ length: 1 + spec.replicasPerShard }, () => ({ shard: 'one more' }))
    try {
      await findPlaces(document, spec, wishes, await this.#options.vacancies.of(spec))
      return null
    } catch (error) {
      if (error instanceof HoldfastError) return error.message
      throw error
    }
  }
}

const turnMs = 1000
