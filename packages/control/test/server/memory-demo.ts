import type { DemoAction, DemoFrame, DemoMark, DemoState, LaneName, LaneSample } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import type { DemoDoor } from '../../src/server/demo-door.ts'

/** What was done, and what the controller says of it a moment later. */
const doings: Readonly<Record<DemoAction, { readonly what: string; readonly because: string | null }>> = {
  kill: {
    what: 'SIGKILL to node-2 (primary of shard-2)',
    because: 'node-2 (primary of shard-2) is dead, node-5 is in sync: promoting it',
  },
  two: {
    what: 'SIGKILL to node-1 (primary of shard-1) and node-2 (primary of shard-2)',
    because: 'node-1 (primary of shard-1) is dead, node-4 is in sync: promoting it',
  },
  freeze: {
    what: 'SIGSTOP to node-3 (primary of shard-3)',
    because: 'node-3 is frozen for 2 s: killing it, so that it cannot wake up as a second primary',
  },
  cache: { what: 'SIGKILL to all 6 nodes', because: 'all copies are down: starting the freshest of each shard first' },
  database: { what: 'PostgreSQL is stopped', because: null },
  hot: { what: 'product 7 is on sale: nine of ten visitors want it', because: null },
  buyers: { what: '1000 callers in two processes asked for product 12 at once', because: null },
  compare: { what: 'the same shop runs on the engine alone, too', because: null },
}

/** What a fault does to each lane, in seconds and shares, as the real demonstration shows it. */
const effects: Readonly<Partial<Record<DemoAction, Readonly<Record<LaneName, { seconds: number; failing: number }>>>>> =
  {
    kill: { holdfast: { seconds: 1, failing: 0 }, bare: { seconds: 16, failing: 0.34 } },
    two: { holdfast: { seconds: 1, failing: 0 }, bare: { seconds: 1e9, failing: 0.97 } },
    freeze: { holdfast: { seconds: 3, failing: 0 }, bare: { seconds: 16, failing: 0.36 } },
    cache: { holdfast: { seconds: 4, failing: 0 }, bare: { seconds: 1e9, failing: 1 } },
    database: { holdfast: { seconds: 1e9, failing: 0 }, bare: { seconds: 1e9, failing: 0.28 } },
  }

interface Totals {
  requests: number
  errors: number
  acked: number
  missing: number
}

/** A demonstration without shops and engines: it plays what a real one looks like, a second at a time, when told to. */
export class MemoryDemo implements DemoDoor {
  /** What was asked for, in order, and by whom. */
  readonly asked: string[] = []
  /** The next press is refused with this. */
  refuseWith: HoldfastError | undefined
  /** The next press is answered only when this is settled. */
  holdUntil: Promise<void> | undefined
  readonly #listeners = new Set<(frame: DemoFrame) => void>()
  readonly #totals: Record<LaneName, Totals> = {
    holdfast: { requests: 0, errors: 0, acked: 0, missing: 0 },
    bare: { requests: 0, errors: 0, acked: 0, missing: 0 },
  }
  #underway: DemoAction | undefined
  #underwaySince = 0
  #state: DemoState

  constructor(startedAt: number) {
    this.#state = {
      deployment: 'shop',
      startedAt,
      requestsPerSecond: 200,
      database: { kind: 'PostgreSQL', delayMs: 20, limit: 8, running: true },
      compare: 'off',
      samples: [],
      marks: [],
      faultUnderway: null,
      buyers: null,
      hot: null,
      keys: [
        ...[7, 1, 4].map((id) => ({ label: `product ${id}`, key: `shop:product:${id}` })),
        { label: 'cart of visitor 4', key: 'shop:cart:4' },
        { label: 'session of visitor 4', key: 'shop:session:4' },
      ],
      lost: [],
    }
  }

  state(): DemoState {
    return this.#state
  }

  async press(action: DemoAction, actor: string): Promise<string> {
    this.asked.push(`${action} by ${actor}`)
    const { refuseWith, holdUntil } = this
    this.refuseWith = undefined
    this.holdUntil = undefined
    await holdUntil
    if (refuseWith !== undefined) throw refuseWith
    this.#do(action)
    return doings[action].what
  }

  async stopFault(actor: string): Promise<string> {
    this.asked.push(`stop by ${actor}`)
    if (this.#state.faultUnderway === null) throw new HoldfastError('NOT_FOUND', 'no fault is under way')
    this.#underway = undefined
    this.#show({ faultUnderway: null, database: { ...this.#state.database, running: true } })
    return 'the fault is healed'
  }

  onFrame(listener: (frame: DemoFrame) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** So many seconds go by. */
  play(seconds: number): void {
    for (let second = 0; second < seconds; second++) {
      const at = this.#now() + 1000
      this.#tell('holdfast', at)
      if (this.#state.compare === 'on') this.#tell('bare', at)
    }
  }

  /** The controller says its sentence about the last fault. */
  explain(): void {
    const [newest, ...older] = this.#state.marks.toReversed()
    if (newest === undefined) return
    const explained: DemoMark = { ...newest, because: doings[newest.action].because }
    this.#show({ marks: [...older.toReversed(), explained] })
  }

  /** The reader of the lane did not find a write that the engine had acknowledged. */
  lose(lane: LaneName, key: string, ackedAt: number): void {
    this.#totals[lane].missing++
    this.#show({ lost: [{ lane, key, ackedAt }, ...this.#state.lost] })
  }

  endSale(): void {
    this.#show({ hot: null })
  }

  #now(): number {
    return this.#state.samples.reduce((newest, { at }) => Math.max(newest, at), this.#state.startedAt)
  }

  #do(action: DemoAction): void {
    const at = this.#now() + 400
    const mark: DemoMark = { at, action, what: doings[action].what, because: null }
    const marks = action === 'compare' ? this.#state.marks : [...this.#state.marks, mark]
    if (effects[action] !== undefined) {
      this.#underway = action
      this.#underwaySince = at
    }
    this.#show({ marks, ...this.#changed(action, at) })
  }

  #changed(action: DemoAction, at: number): Partial<DemoState> {
    const { compare, database } = this.#state
    if (action === 'compare') return { compare: compare === 'on' ? 'off' : 'on' }
    if (action === 'buyers') return { buyers: { at, callers: 1000, loads: 1, tookMs: 46 } }
    if (action === 'hot') return { hot: { product: 'product 7', perSecond: 1840, servedLocally: 0.98 } }
    if (action === 'database') return { database: { ...database, running: false }, faultUnderway: 'fault-1' }
    return action === 'freeze' ? { faultUnderway: 'fault-1' } : {}
  }

  #tell(lane: LaneName, at: number): void {
    const sample = this.#sample(lane, at)
    const samples = [...this.#state.samples, sample].filter((other) => other.at > at - 180_000)
    this.#state = { ...this.#state, samples }
    for (const listener of this.#listeners) listener({ kind: 'sample', sample })
  }

  #sample(lane: LaneName, at: number): LaneSample {
    const { startedAt } = this.#state
    const { failing, isHit } = this.#strain(lane, at)
    const asked = Math.round(200 + breath(at - startedAt, 9))
    const errors = Math.round(asked * failing * (0.9 + breath(at - startedAt, 0.1)))
    const totals = this.#totals[lane]
    const requests = asked - (lane === 'bare' ? Math.round(errors * 0.4) : 0)
    totals.requests += requests
    totals.errors += errors
    totals.acked += Math.round(42 * (1 - failing))
    const isOnSource = isHit && this.#underway === 'cache'
    const queries = this.#state.database.running
      ? Math.round((isOnSource ? 110 : lane === 'bare' ? 31 : 14) + breath(at - startedAt, 4))
      : 0
    const slow = failing > 0 ? 9000 : lane === 'bare' ? 44 : isHit ? 260 : 31
    return {
      lane,
      at,
      requests,
      errors,
      stale: isHit && this.#underway === 'database' ? Math.round(asked * 0.4) : 0,
      p99Ms: requests === 0 ? null : Math.round(slow * (1 + breath(at - startedAt, 0.2)) * 10) / 10,
      queries,
      loadsSaved: Math.max(0, asked - queries - errors),
      acked: totals.acked,
      readBack: Math.max(0, totals.acked - 40 - totals.missing),
      missing: totals.missing,
      errorsTotal: totals.errors,
      requestsTotal: totals.requests,
    }
  }

  /** How a lane suffers in this second. */
  #strain(lane: LaneName, at: number): { failing: number; isHit: boolean } {
    const effect = this.#underway === undefined ? undefined : effects[this.#underway]?.[lane]
    const isHit = effect !== undefined && at - this.#underwaySince < effect.seconds * 1000
    return { isHit, failing: isHit ? effect.failing : 0 }
  }

  #show(parts: Partial<DemoState>): void {
    this.#state = { ...this.#state, ...parts }
    for (const listener of this.#listeners) listener({ kind: 'state', state: this.#state })
  }
}

/** Figures that breathe without chance: the same second always looks the same. */
const breath = (ms: number, depth: number): number =>
  depth * (0.6 * Math.sin(ms / 7000) + 0.3 * Math.sin(ms / 2300) + 0.1 * Math.sin(ms / 900))
