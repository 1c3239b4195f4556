/** The ledger of one deployment while this controller keeps it: what is gathered, and what is not saved yet. */
import type { Clue, EventDraft, Gathering, HoldfastEvent, Incident, Look, Spec, Status } from '@holdfast/core'
import { formatDuration, gather, madeWorseBy, nothingGathered, openIncident, outageMsMin, Tally } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import type { History, LedgerStore } from '../store/store.ts'

/** Where the disk takes nothing for long, the oldest are given up. */
const unsavedMax = 100
/** How many events a controller that was killed may have left ungathered. */
const eventsAtOnce = 1000

export interface AccountOptions {
  readonly name: string
  readonly store: LedgerStore
  readonly history: History
  readonly clock: Clock
  readonly actor: string
  readonly spec: () => Spec | undefined
}

export class Account {
  readonly #options: AccountOptions
  readonly #tally = new Tally()
  readonly #ended = new Map<string, Incident>()
  readonly #streaks = new Map<string, number>()
  #gathering: Gathering
  #epoch = 0

  /** Goes on where the last controller was, with the events that it had no time to gather. */
  constructor(options: AccountOptions) {
    this.#options = options
    const { name, store, history } = options
    const saved = store.gathering(name)
    const newest = history.latest({ limit: 1 }).at(-1)?.seq ?? 0
    this.#gathering = saved ?? { ...nothingGathered(name), seq: newest }
    for (const event of history.since(this.#gathering.seq, { deployment: name, limit: eventsAtOnce })) this.hear(event)
  }

  /** It was ready since it was last wanted up: from then on it is worth looking at from outside. */
  get wasReady(): boolean {
    return this.#gathering.wasReady
  }

  /** How much is told of what goes on; -1: nothing does. */
  get steps(): number {
    return this.#gathering.open?.timeline.length ?? -1
  }

  /** The incident that goes on. */
  get open(): Incident | null {
    const incident = openIncident(this.#gathering)
    return incident === null ? null : this.#explain(incident)
  }

  get unsaved(): { readonly incidents: readonly Incident[]; readonly tally: Tally } {
    return { incidents: [...this.#ended.values()], tally: this.#tally }
  }

  hear(event: HoldfastEvent): void {
    this.#gather({ kind: 'event', event })
  }

  see(status: Status): void {
    this.#epoch = status.controller.epoch
    this.#gather({ kind: 'status', status })
  }

  /** What the probe saw. A time in which it could not write, and that is worth telling, becomes an event. */
  look(look: Look, reason: string): void {
    this.#tally.add(look)
    try {
      this.#tellStreak(look, reason)
    } finally {
      this.#gather({ kind: 'look', look })
    }
  }

  /** Throws what the store throws; nothing is lost by that, and the next time saves it too. */
  save(now: number): void {
    const { name, store } = this.#options
    const open = this.open
    const incidents = [...this.#ended.values(), ...(open === null ? [] : [open])]
    store.save(name, { gathering: this.#gathering, incidents, sums: this.#tally.sums, now })
    this.#ended.clear()
    this.#tally.empty()
  }

  #gather(clue: Clue): void {
    const { gathering, ended } = gather(this.#gathering, clue)
    this.#gathering = gathering
    for (const incident of ended) this.#ended.set(incident.id, this.#explain(incident))
    const [oldest] = this.#ended.keys()
    if (oldest !== undefined && this.#ended.size > unsavedMax) this.#ended.delete(oldest)
  }

  #tellStreak({ shard, from, to, writable }: Look, reason: string): void {
    const before = this.#streaks.get(shard) ?? 0
    const outMs = writable ? 0 : before + to - from
    this.#streaks.set(shard, outMs)
    if (before < outageMsMin && outMs >= outageMsMin) this.#say(shard, to, `${shard} cannot be written to: ${reason}`)
    if (writable && before >= outageMsMin) {
      this.#say(shard, to, `${shard} can be written to again, after ${formatDuration(before)}`)
    }
  }

  #explain(incident: Incident): Incident {
    const spec = this.#options.spec()
    return spec === undefined ? incident : { ...incident, madeWorseBy: madeWorseBy(incident, spec) }
  }

  /** Comes back through the history, as all events do. */
  #say(shard: string, at: number, because: string): void {
    const { name, history, actor } = this.#options
    const draft: EventDraft = {
      epoch: this.#epoch,
      at,
      deployment: name,
      kind: 'probe',
      subject: shard,
      because,
      cause: null,
      actor,
    }
    history.append(draft)
  }
}
