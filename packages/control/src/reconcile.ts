/**
 * The loop: observe, plan, act, once a turn; a turn a second, and at once on an event.
 *
 * A turn plans from what is, never from what was meant, so there is nothing to resume: a controller killed in the
 * middle costs one turn. It is the only one who changes a deployment, and it does so only while it holds the lease;
 * every agent checks that again with the lease's epoch, because a paused process cannot check anything.
 */
import type {
  Action,
  CertificateWish,
  Document,
  EventKind,
  HostTrouble,
  NodeFiles,
  Picture,
  Plan,
  Spec,
  Status,
  SuppliedSeen,
  Vacancy,
} from '@holdfast/core'
import {
  authorityOf,
  describeAction,
  describeChanges,
  describeNews,
  everyCopy,
  formatDuration,
  HoldfastError,
  hostProxy,
  judgeReadiness,
  localHostId,
  parseSpec,
  placeProxy,
  planTurn,
  proxyId,
  readPicture,
  replaced,
  runsAsRendered,
  shelfId,
  someShallMove,
  statusOf,
  withOperations,
} from '@holdfast/core'
import type { Shelf } from './host/backup/local-shelf.ts'
import type { Log } from './log.ts'
import type { Eyes } from './observe.ts'
import { observe } from './observe.ts'
import type { Certified } from './pki/engine-certificates.ts'
import type { History, Lease, Store } from './store/store.ts'

const turnEveryMs = 1000
/** After a turn that acted: long enough for an engine to react, short against a failover. */
const turnAfterActingMs = 10
/** After waiting this long in the same words, four looks a second are enough. */
const patienceMs = 3000
/** A gap between turns this much longer than meant: the process was paused, and all it knows is old. */
const pausedMs = 4000
/** How soon an engine is looked for again that was not to be had. */
const renderAgainMs = 10_000
/**
 * How long a look may go on waiting for engines once something happened. It ends sooner as a rule, also on a busy machine,
 * and knows: the hosts are asked last. One death wakes three times (two connections and the process), and a look begun anew
 * each time would cost the most then.
 */
const lookOnMs = 100
/** Sentinels tell of one thing within seconds of each other. */
const sameNewsMs = 5000
/** How long after the beginning of its turn an action may still begin: what was seen is older by then. */
const actWithinMs = 3000

export interface Rendered {
  readonly files: ReadonlyMap<string, NodeFiles>
  readonly owned: Readonly<Record<string, string>>
}

export interface LoopOptions extends Eyes {
  readonly name: string
  readonly controllerId: string
  readonly store: Store
  readonly history: History
  readonly log: Log
  /** The text files of every node and the directives we own: pure, so done once a revision. */
  readonly render: (document: Document, spec: Spec) => Promise<Rendered>
  /** Where the spec names certificates: its files, as they are now. */
  readonly supplied?: (spec: Spec) => SuppliedSeen | undefined
  /** Makes certificates: the document's, with those that were wished for. */
  readonly certify?: (document: Document, wishes: readonly CertificateWish[], spec: Spec) => Promise<Certified>
  /** Where one more node could go. Default: nobody looks. */
  readonly vacancy?: (spec: Spec) => Promise<Vacancy>
  /** What goes wrong with a machine. Default: nobody looks. */
  readonly troublesOn?: (host: string) => readonly HostTrouble[]
  readonly engine: () => Status['engine']
  /** What is being done in this moment; nobody knows yet what comes of it. */
  readonly onPlan: (plan: Plan) => void
  readonly onStatus: (status: Status) => void
  /** What each turn has seen, and whether this controller acts. Default: nobody listens. */
  readonly onLook?: (picture: Picture, spec: Spec, acts: boolean) => void
  /** Where backups are taken to; without it there are none. */
  readonly shelf?: Pick<Shelf, 'look' | 'act'>
  /** The deployment was purged: there is nothing left to keep up. */
  readonly onGone: () => void
}

interface Known extends Rendered {
  readonly document: Document
  readonly spec: Spec
  /** Why the files of the nodes could not be rendered: without an engine nothing can be started. */
  readonly unrendered: string | null
  readonly triedAt: number
}

export class DeploymentLoop {
  readonly name: string
  readonly #options: LoopOptions
  #known: Known | undefined
  #lease: Lease | undefined
  #renewedAt = Number.NEGATIVE_INFINITY
  /** Since when nobody else has held the lease. */
  #actsSince = Number.NEGATIVE_INFINITY
  #status: Status | undefined
  #lastShape = ''
  #repeated = 0
  /** Since when the sentence is the same. */
  #sameSince = 0
  #nextTurnAt: number
  /** Breaks off a look that something made pointless. */
  #interrupt = new AbortController()
  /** Ends a sleep, and the one that would follow this turn. */
  #woken = new AbortController()
  #stopped = false
  /** What Sentinels said lately, and when. */
  readonly #heard = new Map<string, number>()

  constructor(options: LoopOptions) {
    this.name = options.name
    this.#options = options
    this.#nextTurnAt = options.clock.now()
    options.engines.onChange(() => this.wake())
    options.sentinels?.onChange(() => this.wake())
    options.sentinels?.onNews((sentinel, channel, text) => this.#hear(sentinel, channel, text))
  }

  get status(): Status | undefined {
    return this.#status
  }

  /** The passwords as they were when it last looked. */
  get secrets(): Document['secrets'] {
    return this.#known?.document.secrets ?? {}
  }

  /** Whom to believe that it is an engine of this deployment, PEM; null: they speak in clear. */
  get authority(): string | null {
    return this.#known === undefined ? null : authorityOf(this.#known.document, this.#known.spec)
  }

  /** What is wanted, as it was when it last looked; undefined before that. */
  get wanted(): { readonly document: Document; readonly spec: Spec } | undefined {
    return this.#known
  }

  /** The names of the directives that Holdfast owns here. */
  get owned(): readonly string[] {
    return Object.keys(this.#known?.owned ?? {})
  }

  /** The epoch in which this controller acts; null while it holds no lease. */
  get epoch(): number | null {
    const { controllerId, clock } = this.#options
    const lease = this.#lease
    return lease?.holder === controllerId && clock.now() < lease.until ? lease.epoch : null
  }

  /** When the next turn is due, by the clock. */
  get nextTurnAt(): number {
    return this.#nextTurnAt
  }

  /** Something happened: the next turn is now. */
  wake(): void {
    this.#nextTurnAt = Math.min(this.#nextTurnAt, this.#options.clock.now())
    this.#woken.abort()
    const look = this.#interrupt
    void this.#options.clock.sleep(lookOnMs).then(() => look.abort())
  }

  /** Turns until stopped. */
  async run(): Promise<void> {
    const { clock, log } = this.#options
    while (!this.#stopped) {
      try {
        await this.turn()
      } catch (error) {
        // A turn that throws is a bug or a broken store; the next one looks again with fresh eyes.
        log.error({ deployment: this.name, err: error }, 'turn failed')
        this.#nextTurnAt = clock.now() + turnEveryMs
      }
      const restMs = this.#nextTurnAt - clock.now()
      if (restMs > 0) await clock.sleep(restMs, this.#woken.signal)
    }
  }

  stop(): void {
    this.#stopped = true
    this.wake()
  }

  /** Gives the lease back, so that the next controller need not wait for it to run out; where nobody takes it, it does. */
  async release(): Promise<void> {
    const { store, controllerId, log } = this.#options
    await store.release(this.name, controllerId).catch((error: unknown) => {
      log.warn({ deployment: this.name, err: error }, 'lease not given back')
    })
  }

  /** One turn. Undefined: there is nothing to do it for, or it was interrupted while it looked. */
  async turn(): Promise<Plan | undefined> {
    const { clock, hosts } = this.#options
    this.#interrupt = new AbortController()
    this.#woken = new AbortController()
    const sleptMs = clock.now() - this.#nextTurnAt
    // Others may have heard of the hosts what this controller slept through: it begins to listen anew.
    if (sleptMs > pausedMs) this.#actsSince = clock.now()
    const deadlines = new Map([...hosts].map(([id, host]) => [id, host.now() + actWithinMs]))
    const known = await this.#load()
    if (known === undefined) return this.#rest(turnEveryMs)
    const lease = await this.#holdLease()
    const picture = await this.#look(known, this.#interrupt.signal)
    if (picture === undefined) return this.#rest(0)
    this.#options.onLook?.(picture, known.spec, lease.holder === this.#options.controllerId)
    const wallNow = Math.round(clock.wall())
    const supplied = this.#options.supplied?.(known.spec)
    const vacancy = someShallMove(picture, known.spec) ? await this.#options.vacancy?.(known.spec) : undefined
    const seen = {
      ...known,
      picture,
      wallNow,
      boot: clock.boot,
      ...(supplied && { supplied }),
      ...(vacancy && { vacancy }),
    }
    const planned = this.#guard(lease, sleptMs, seen) ?? planTurn(seen)
    const { plan, document: kept } = await this.#keepOperations(planned, known)
    const newest = await this.#newerThanFences(plan, lease)
    const acting = this.#act(plan, newest, deadlines)
    this.#options.onPlan(plan)
    const failed = await acting
    this.#tell(plan, failed)
    const isOurs = lease.holder === this.#options.controllerId
    const document = isOurs && isSettled(plan, picture, known) ? await this.#settle(kept) : kept
    this.#publish(plan, picture, { ...known, document }, lease)
    if (isPurge(plan, document) && failed.size === 0) await this.#forget()
    this.#pace(plan)
    return plan
  }

  /** Looks and does nothing: for a home that no controller keeps. */
  async look(): Promise<void> {
    const known = await this.#load()
    if (known === undefined) return
    const picture = await this.#look(known, new AbortController().signal)
    if (picture === undefined) return
    const plan = onlyLook('no controller runs: nothing is healed until "holdfast up"')
    this.#publish(plan, picture, known, { holder: '', epoch: 0, until: 0 })
  }

  async #look({ document, spec }: Known, signal: AbortSignal): Promise<Picture | undefined> {
    const proxy = { host: hostProxy(spec).host, wanted: placeProxy(spec) !== null }
    const observed = await observe(
      this.name,
      document.nodes,
      this.#options,
      signal,
      document.sentinels,
      proxy,
      this.#actsSince,
    )
    if (observed === undefined) return undefined
    const shelf = this.#options.shelf?.look(this.name)
    return readPicture(document.nodes, shelf === undefined ? observed : { ...observed, shelf }, spec)
  }

  #rest(ms: number): undefined {
    this.#nextTurnAt = this.#options.clock.now() + ms
    return undefined
  }

  async #load(): Promise<Known | undefined> {
    const document = this.#options.store.load(this.name)
    if (document === undefined) return undefined
    const now = this.#options.clock.now()
    const known = this.#known
    if (known?.document.revision === document.revision) {
      if (known.unrendered === null || now - known.triedAt < renderAgainMs) return known
    }
    const spec = parseSpec(document.spec)
    try {
      this.#known = { document, spec, ...(await this.#options.render(document, spec)), unrendered: null, triedAt: now }
    } catch (error) {
      this.#known = { document, spec, files: new Map(), owned: {}, unrendered: messageOf(error), triedAt: now }
    }
    return this.#known
  }

  /** The lease in force. It is renewed beside the turn: a slow store must not hold up a failover. */
  async #holdLease(): Promise<Lease> {
    const { clock, controllerId, store } = this.#options
    const now = clock.now()
    const held = this.#lease
    if (held?.holder !== controllerId || now >= held.until) return this.#takeLease(now)
    if (now - this.#renewedAt >= store.leaseMs / 3) {
      this.#renewedAt = now
      void this.#takeLease(now)
    }
    return held
  }

  /**
   * Takes or renews it. A store of this machine that cannot write leaves it as it was, and the agents' epoch still
   * guards; one that others share, and that does not answer, may have given it to one of them once it is over.
   */
  async #takeLease(now: number): Promise<Lease> {
    const { store, controllerId, log } = this.#options
    const held = this.#lease
    try {
      const lease = await store.lease(this.name, { holder: controllerId, now, forMs: store.leaseMs })
      if (lease.holder === controllerId && held?.epoch !== lease.epoch) {
        this.#append('controller', this.name, `controller ${controllerId} acts in epoch ${lease.epoch}`)
      }
      if (lease.holder === controllerId && held?.holder !== controllerId) this.#actsSince = now
      this.#lease = lease
      this.#renewedAt = now
      return lease
    } catch (error) {
      log.error({ deployment: this.name, err: error }, 'lease not renewed')
      if (held === undefined) throw error
      const isShared = error instanceof HoldfastError && error.code === 'UNREACHABLE_STORE'
      return isShared && now >= held.until ? { ...held, holder: '' } : held
    }
  }

  /** Reasons to look and not to act. */
  #guard(lease: Lease, sleptMs: number, { unrendered, picture }: Known & { picture: Picture }): Plan | undefined {
    if (unrendered !== null) return onlyLook(`nothing can be done: ${unrendered}`)
    if (lease.holder === '')
      return onlyLook('the store does not answer, and the lease is over: nobody acts until it does')
    if (lease.holder !== this.#options.controllerId) {
      const { because } = judgeReadiness(picture)
      return onlyLook(`another controller (${lease.holder}) acts in epoch ${lease.epoch}; ${because}`)
    }
    if (sleptMs > pausedMs)
      return onlyLook(`this controller was not awake for ${formatDuration(sleptMs)}: only looking`)
    return undefined
  }

  /** What was decided about operations, and about the layout, is on disk before anything is done; what cannot be saved is not done. */
  async #keepOperations(plan: Plan, known: Known): Promise<{ plan: Plan; document: Document }> {
    const { document } = known
    const { operations = [], places = [], engine, scale = document.scale, certify = [] } = plan
    const isRendered = places.length + certify.length === 0 && plan.secrets === undefined && engine === undefined
    if (operations.length === 0 && isRendered && scale === document.scale) return { plan, document }
    try {
      const { secrets, ...certified } = await this.#certify(plan, known)
      const saved = await this.#options.store.save({
        ...replaced(document, places),
        operations: withOperations(document.operations, operations),
        scale,
        ...(engine === undefined
          ? {}
          : { spec: { ...document.spec, engine }, specRevision: document.specRevision + 1 }),
        ...certified,
        secrets,
      })
      // Files of another layout, for other passwords or another engine have to be rendered first, which the next turn does.
      if (isRendered) this.#known = { ...known, document: saved }
      for (const one of operations) {
        const before = document.operations.find(({ id }) => id === one.id)
        if (before?.state !== one.state) this.#append('operation', one.subject, one.because, one.id)
      }
      return { plan, document: saved }
    } catch (error) {
      // Somebody else saved meanwhile, or the disk does not take it: the next turn decides anew.
      return { plan: onlyLook(`${plan.because}: not done, since it cannot be saved (${messageOf(error)})`), document }
    }
  }

  /** The passwords as they are from now on, with the certificates that the plan wants. */
  async #certify({ secrets, certify = [] }: Plan, { document, spec }: Known): Promise<Certified> {
    const { certify: make } = this.#options
    const before = { ...document, secrets: secrets ?? document.secrets }
    if (certify.length === 0 || make === undefined) return { secrets: before.secrets }
    return make(before, certify, spec)
  }

  /**
   * Only a newer epoch lifts a fence, and whoever acts may be the one that the fenced host was cut off from: it gives its
   * lease back then, and takes it anew. Where another one was quicker, this one acts no more.
   */
  async #newerThanFences({ actions }: Plan, lease: Lease): Promise<Lease> {
    const { store, controllerId, clock } = this.#options
    const isOld = actions.some((action) => action.kind === 'lift-fence' && action.epoch >= lease.epoch)
    if (!isOld || lease.holder !== controllerId) return lease
    await store.release(this.name, controllerId)
    const newer = await this.#takeLease(clock.now())
    return newer.holder === controllerId ? newer : lease
  }

  /** Does all of a plan at once: its actions do not depend on each other. Answers what went wrong. */
  async #act(plan: Plan, lease: Lease, deadlines: ReadonlyMap<string, number>): Promise<Map<Action, unknown>> {
    const failed = new Map<Action, unknown>()
    await Promise.all(
      plan.actions.map(async (action) => {
        try {
          const { hosts, shelf } = this.#options
          const at = action.node === shelfId ? localHostId : (this.#hostOf(action.node) ?? '')
          const door = action.node === shelfId ? shelf : hosts.get(at)
          if (door === undefined) throw new HoldfastError('NOT_FOUND', `no agent for ${action.node}`)
          const notAfter = deadlines.get(at) ?? 0
          await door.act({ deployment: this.name, controllerEpoch: lease.epoch, notAfter, action })
        } catch (error) {
          failed.set(action, error)
        }
      }),
    )
    return failed
  }

  #hostOf(id: string): string | undefined {
    if (this.#known === undefined) return undefined
    const { document, spec } = this.#known
    if (id === proxyId) return hostProxy(spec).host
    return [...document.nodes, ...(document.sentinels ?? [])].find((place) => place.id === id)?.host
  }

  /** The plan's sentence and its actions go to the log and the events, word for word, when they are news. */
  #tell(plan: Plan, failed: ReadonlyMap<Action, unknown>): void {
    const { log } = this.#options
    const shape = plan.because.replaceAll(/\d+(\.\d+)? (ms|s|min|h)\b/g, '…')
    const isNews = shape !== this.#lastShape
    this.#repeated = isNews ? 0 : this.#repeated + 1
    if (isNews) this.#sameSince = this.#options.clock.now()
    this.#lastShape = shape
    const fields = { deployment: this.name, because: plan.because, actions: plan.actions.length, failed: failed.size }
    if (!isNews) return log.debug(fields, 'turn')
    log.info(fields, 'turn')
    const turn = this.#append('turn', this.name, plan.because)
    for (const note of plan.notes) this.#append(note.kind, note.subject, note.because, turn)
    for (const action of plan.actions) {
      const error = failed.get(action)
      const told = describeAction(action)
      if (error === undefined) this.#append('action', action.node, told, turn, action.kind)
      else this.#append('failed', action.node, `${told}: ${messageOf(error)}`, turn, action.kind)
    }
  }

  #publish(plan: Plan, picture: Picture, { document, spec, files, owned }: Known, lease: Lease): void {
    const { clock, controllerId, engine, troublesOn, onStatus } = this.#options
    const held = lease.holder === controllerId ? 'held' : lease.holder === '' ? 'none' : 'lost'
    const controller = { id: lease.holder, epoch: lease.epoch, lease: held } as const
    const status = statusOf({
      document,
      spec,
      picture,
      plan,
      controller,
      engine: engine(),
      ...(troublesOn && { troublesOn }),
      wallNow: clock.wall(),
      files,
      owned,
    })
    for (const change of describeChanges(this.#status, status)) {
      this.#append(change.kind, change.subject, change.because)
    }
    this.#status = status
    onStatus(status)
  }

  /** Remembers that this revision was once as specified: from then on nothing starts empty unasked. */
  async #settle(document: Document): Promise<Document> {
    if (document.settledRevision === document.specRevision && !document.acceptDataLoss) return document
    const { store, log, clock } = this.#options
    const isFirst = document.settledRevision === 0
    try {
      return await store.save({
        ...document,
        settledRevision: document.specRevision,
        ...(isFirst ? { firstReadyAt: Math.round(clock.wall()) } : {}),
        acceptDataLoss: false,
      })
    } catch (error) {
      log.warn({ deployment: this.name, err: error }, 'settled revision not saved')
      return document
    }
  }

  /** The last of its data is gone, and so is the document: there is nothing left to keep up. */
  async #forget(): Promise<void> {
    await this.#options.store.remove(this.name)
    this.#append('spec', this.name, `${this.name} is gone with its data`)
    this.#options.onGone()
  }

  /**
   * What failed in the same way again is tried less and less often, down to once a second; and so is what is waited for
   * in the same words, once it has taken longer than an engine takes to settle.
   */
  #pace(plan: Plan): void {
    const now = this.#options.clock.now()
    const afterActing = Math.min(turnEveryMs, turnAfterActingMs * 2 ** Math.min(this.#repeated, 7))
    const waiting = Math.max(plan.lookAgainMs ?? turnEveryMs, now - this.#sameSince > patienceMs ? turnEveryMs / 4 : 5)
    const restMs = plan.actions.length > 0 ? afterActing : Math.min(turnEveryMs, waiting)
    this.#nextTurnAt = now + (this.#woken.signal.aborted ? 0 : restMs)
  }

  /** What Sentinels tell goes to the events once, by whoever says it first, and is a reason to look. */
  #hear(sentinel: string, channel: string, text: string): void {
    const because = describeNews(channel, text)
    if (because === null) return
    const now = this.#options.clock.now()
    const isKnown = now - (this.#heard.get(because) ?? Number.NEGATIVE_INFINITY) < sameNewsMs
    for (const [sentence, at] of this.#heard) if (now - at >= sameNewsMs) this.#heard.delete(sentence)
    this.#heard.set(because, now)
    if (!isKnown) this.#append('sentinel', sentinel, `${sentinel}: ${because}`)
    this.wake()
  }

  /** The number of the event, as its consequences' cause; null where the log cannot be written. */
  #append(
    kind: EventKind,
    subject: string,
    because: string,
    cause: string | null = null,
    action?: Action['kind'],
  ): string | null {
    const { history, clock, log, controllerId } = this.#options
    try {
      const epoch = this.#lease?.epoch ?? 0
      const draft = { epoch, at: Math.round(clock.wall()), deployment: this.name, kind, subject, because, cause }
      const done = action === undefined ? {} : { action }
      return String(history.append({ ...draft, ...done, actor: `controller ${controllerId}` }).seq)
    } catch (error) {
      log.error({ deployment: this.name, because, err: error }, 'event not written')
      return null
    }
  }
}

/** The data of all of it goes. Of a single node that leaves it goes too, and the deployment stays. */
const isPurge = (plan: Plan, { wanted, purge }: Document): boolean =>
  wanted === 'down' && purge && plan.actions.length > 0 && plan.actions.every(({ kind }) => kind === 'purge')

/** As specified, with every engine's settings read back: what was not seen cannot be as specified. */
const isSettled = (plan: Plan, picture: Picture, rendered: Rendered): boolean =>
  plan.actions.length === 0 &&
  runsAsRendered({ picture, ...rendered }) &&
  judgeReadiness(picture).ready === 'yes' &&
  everyCopy(picture).every(({ agent }) => agent?.config != null)

const onlyLook = (because: string): Plan => ({ actions: [], because, notes: [], lookAgainMs: null })

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
