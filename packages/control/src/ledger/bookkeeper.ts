/**
 * Keeps the ledgers of all deployments of a home. It listens: to each turn's status, to the events, to engines that
 * end, and to its own probes. It never delays a turn and never breaks one: what goes wrong here costs lines of the
 * ledger and is told to the log.
 */
import type {
  DeploymentFacts,
  HoldfastEvent,
  HourSum,
  Incident,
  Ledger,
  Spec,
  Status,
  UserAccess,
} from '@holdfast/core'
import { accessTo, availabilityOf, describeLedger, hourOf } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { History, LedgerStore } from '../store/store.ts'
import { Account } from './account.ts'
import type { ProbeClient } from './client.ts'
import { Probe } from './probe.ts'

const saveEveryMs = 10_000
/** What an incident just learnt is saved this soon: the controller may be the next to die. */
const saveSoonMs = 300

export interface BookkeeperOptions {
  readonly controllerId: string
  readonly store: LedgerStore
  readonly history: History
  readonly clock: Clock
  readonly log: Log
  readonly spec: (name: string) => Spec | undefined
  readonly credentials: (name: string) => UserAccess | undefined
  readonly openClient: (facts: DeploymentFacts) => Promise<ProbeClient>
}

interface Books {
  readonly account: Account
  status: Status
  /** Undefined: nobody looks. A promise, since opening a client takes a moment and is begun once. */
  probe: Promise<Probe> | undefined
  /** What the probe signed in with. */
  password: string
}

export class Bookkeeper {
  readonly #options: BookkeeperOptions
  readonly #books = new Map<string, Books>()
  readonly #stopListening: (() => void)[] = []
  readonly #closed = new AbortController()
  #savesSoon = false

  constructor(options: BookkeeperOptions) {
    this.#options = options
  }

  /** Begins to listen. Without it, it only reads what others wrote. */
  run(platform: { onStatus(listener: (status: Status) => void): () => void }): void {
    this.#stopListening.push(
      platform.onStatus((status) => this.#guard(status.name, () => this.#see(status))),
      this.#options.history.subscribe((event) => this.#guard(event.deployment, () => this.#hear(event))),
    )
    void this.#saveNowAndThen()
  }

  /** An engine ended: whoever was written to through it is looked at now, so that the shortest outage is seen. */
  exited({ deployment, node }: { readonly deployment: string; readonly node: string }): void {
    const books = this.#books.get(deployment)
    const shard = books?.status.shards.find(({ primary }) => primary === node)
    if (shard !== undefined) void books?.probe?.then((probe) => probe.alert(shard.id), ignore)
  }

  /** From the hour on in which `asked` lies: availability is kept by the hour, and incidents shall fit to it. */
  read(name: string, asked: number): Ledger {
    const { store, clock } = this.#options
    const since = hourOf(asked)
    const until = Math.round(clock.wall())
    const account = this.#books.get(name)?.account
    const { incidents: unsaved = [], tally } = account?.unsaved ?? {}
    const fresh = [...unsaved, ...(account?.open == null ? [] : [account.open])]
    const isAsked = ({ endedAt }: Incident): boolean => endedAt === null || endedAt >= since
    const incidents = [
      ...fresh.filter(isAsked),
      ...store.incidents(name, since).filter(({ id }) => !fresh.some((one) => one.id === id)),
    ].sort((one, other) => other.beganAt - one.beganAt)
    const pending = (tally?.sums ?? []).filter(({ hour }) => hour >= since)
    const sums = [...store.hours(name, since), ...pending]
    const availability = availabilityOf(sums.filter(({ shard }) => shard === null))
    const because = describeLedger(availability, incidents)
    return { deployment: name, since, until, because, availability, shards: byShard(sums), incidents }
  }

  /** The deployment is gone with its data, and another one may get its name. */
  forget(name: string): void {
    this.#guard(name, () => {
      this.#drop(name)
      this.#options.store.forget(name)
    })
  }

  /** Saves what there is to save, and looks no more. */
  async close(): Promise<void> {
    for (const stop of this.#stopListening) stop()
    this.#closed.abort()
    this.#saveAll()
    const probes = [...this.#books.values()].map(({ probe }) => probe)
    this.#books.clear()
    await Promise.allSettled(probes.map(async (probe) => (await probe)?.stop()))
  }

  #see(status: Status): void {
    const { name, controller } = status
    if (controller.lease !== 'held') return this.#drop(name)
    const books = this.#books.get(name) ?? this.#open(status)
    books.status = status
    const stepsBefore = books.account.steps
    books.account.see(status)
    if (books.account.steps !== stepsBefore) this.#saveSoon()
    if (status.wanted === 'down' || !books.account.wasReady) return this.#stopProbe(books)
    const access = this.#options.credentials(name) ?? { user: '', password: '' }
    // Its next connection would be turned away with the old one.
    if (books.password !== access.password) this.#stopProbe(books)
    books.password = access.password
    books.probe ??= this.#openProbe(books, access)
    void books.probe.then((probe) => probe.see(status), ignore)
  }

  #hear(event: HoldfastEvent): void {
    this.#books.get(event.deployment)?.account.hear(event)
  }

  #open(status: Status): Books {
    const { controllerId, store, history, clock, spec } = this.#options
    const { name } = status
    const actor = `controller ${controllerId}`
    const account = new Account({ name, store, history, clock, actor, spec: () => spec(name) })
    const books = { account, status, probe: undefined, password: '' }
    this.#books.set(name, books)
    return books
  }

  #openProbe(books: Books, access: UserAccess): Promise<Probe> {
    const { clock, log, openClient } = this.#options
    const { status } = books
    const { name } = status
    const open = async (): Promise<Probe> => {
      const client = await openClient(accessTo(status, access))
      return new Probe(client, clock, (look, reason) => this.#guard(name, () => books.account.look(look, reason)))
    }
    const opened = open()
    opened.catch((error: unknown) =>
      log.warn({ deployment: name, err: error }, 'no probe: nobody sees it from outside'),
    )
    return opened
  }

  #stopProbe(books: Books): void {
    const { probe } = books
    books.probe = undefined
    void probe?.then((one) => one.stop()).catch(ignore)
  }

  #drop(name: string): void {
    const books = this.#books.get(name)
    if (books === undefined) return
    this.#stopProbe(books)
    this.#books.delete(name)
  }

  async #saveNowAndThen(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      await this.#options.clock.sleep(saveEveryMs, this.#closed.signal)
      if (!this.#closed.signal.aborted) this.#saveAll()
    }
  }

  #saveSoon(): void {
    if (this.#savesSoon) return
    this.#savesSoon = true
    void this.#options.clock.sleep(saveSoonMs, this.#closed.signal).then(() => {
      this.#savesSoon = false
      if (!this.#closed.signal.aborted) this.#saveAll()
    })
  }

  #saveAll(): void {
    const now = Math.round(this.#options.clock.wall())
    for (const [name, { account }] of this.#books) this.#guard(name, () => account.save(now))
  }

  #guard(deployment: string, work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#options.log.warn({ deployment, err: error }, 'a line of the ledger is missing')
    }
  }
}

function byShard(sums: readonly HourSum[]): Ledger['shards'] {
  const ids = [...new Set(sums.flatMap(({ shard }) => (shard === null ? [] : [shard])))].sort()
  return Object.fromEntries(ids.map((id) => [id, availabilityOf(sums.filter(({ shard }) => shard === id))]))
}

/** Said where it happened. */
const ignore = (): void => {}
