/*
 * One store of several controllers, as etcd is one: each question and each answer takes a moment, in which whoever asked
 * may be paused or killed; what others have saved is known a moment later; and a controller that is cut off knows what
 * it knew, and hears nothing.
 */
import type { Document } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { MemoryStore } from '../../src/store/memory-store.ts'
import type { Lease, LeaseClaim, Store } from '../../src/store/store.ts'
import type { Seat } from './controller.ts'

const onTheWayMs = 2
/** How long an answer is waited for. */
const patienceMs = 1500
/** How much later the others know of it. */
const newsMs = 30

interface Version {
  readonly at: number
  readonly by: string
  readonly document: Document | undefined
}

/** Where in a call a controller is hurt. `answered`: it is done, and whoever asked does not know. */
export type Moment = 'asked' | 'answered'

export class SharedStore {
  readonly base = new MemoryStore({ isShared: true, leaseMs: 3000 })
  readonly #versions: Version[] = []
  readonly #save: (by: string, document: Document) => Promise<Document>
  readonly #cut = new Map<string, number>()
  /** Called at each moment of each call, with who makes it. */
  onStep: (by: string, moment: Moment) => void = () => undefined

  constructor(now: () => number) {
    const save = this.base.save.bind(this.base)
    this.#save = async (by, document) => {
      const saved = await save(document)
      this.#versions.push({ at: now(), by, document: saved })
      return saved
    }
    // As the API saves it, by whichever controller.
    this.base.save = (document) => this.#save('somebody', document)
  }

  /** From now on it reaches nothing here. */
  cut(controller: string, now: number): void {
    this.#cut.set(controller, now)
  }

  mend(controller: string): void {
    this.#cut.delete(controller)
  }

  of({ id, clock }: Seat): Store {
    let known = 0
    const call = async <T>(work: () => Promise<T>): Promise<T> => {
      await clock.sleep(onTheWayMs)
      this.onStep(id, 'asked')
      await clock.sleep(0)
      await this.#refuse(id, clock)
      try {
        return await work()
      } finally {
        this.onStep(id, 'answered')
        await clock.sleep(onTheWayMs)
        await this.#refuse(id, clock)
        known = this.#versions.length
      }
    }
    const { base } = this
    const load = (name: string): Document | undefined => {
      if (this.#versions.length === 0) return base.load(name)
      const horizon = (this.#cut.get(id) ?? clock.now()) - newsMs
      const seen = this.#versions.findLastIndex(({ at, by }, index) => by === id || index < known || at <= horizon)
      return seen < 0 ? base.load(name) : structuredClone(this.#versions[seen]?.document)
    }
    return {
      isShared: true,
      leaseMs: base.leaseMs,
      settings: base.settings,
      names: () => base.names(),
      load,
      save: (document) => call(() => this.#save(id, document)),
      remove: (name) => call(() => base.remove(name)),
      lease: (name, claim) => this.#lease(name, claim, clock, call),
      release: (name, holder) => call(() => base.release(name, holder)),
      onChange: () => () => undefined,
      close: () => undefined,
    }
  }

  /** The store counts the time from when it hears of a claim, and whoever holds it from when he asked. */
  async #lease(
    name: string,
    claim: LeaseClaim,
    clock: Seat['clock'],
    call: (work: () => Promise<Lease>) => Promise<Lease>,
  ): Promise<Lease> {
    const lease = await call(() => this.base.lease(name, { ...claim, now: clock.now() }))
    return lease.holder === claim.holder ? { ...lease, until: claim.now + claim.forMs } : lease
  }

  async #refuse(id: string, clock: Seat['clock']): Promise<void> {
    if (!this.#cut.has(id)) return
    await clock.sleep(patienceMs)
    throw new HoldfastError('UNREACHABLE_STORE', 'the store does not answer')
  }
}
