/** The demonstration: it runs the shops and the crowd, does what a key says, and tells what was counted. */
import { setTimeout as delay } from 'node:timers/promises'
import type { DemoAction, DemoFrame, DemoState } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import type { EngineBinary } from '../binary/engine-binary.ts'
import type { DemoDoor } from '../server/demo-door.ts'
import type { Platform } from '../server/platform.ts'
import type { Home } from '../store/home.ts'
import { Compare } from './compare.ts'
import { Crowd } from './crowd.ts'
import type { DemoDatabase } from './database.ts'
import { openDatabase, questionMs, questionsAtOnce } from './database.ts'
import { freshFolder, removeFolder } from './folder.ts'
import { productId } from './goods.ts'
import { Lane, requestsPerSecond } from './lane.ts'
import type { EngineAccess } from './messages.ts'
import type { Note } from './story.ts'
import { Story } from './story.ts'
import { Strikes } from './strikes.ts'

/** How long the database stays away, unless somebody starts it before. */
const databaseAwayMs = 15_000
const shownProducts = [1, 2, 3]

export interface DemoOptions {
  readonly home: Home
  readonly deployment: string
}

/** What it needs of the controller; there once the deployment is up. */
export interface DemoGround {
  readonly platform: Platform
  readonly binary: EngineBinary
  readonly engine: EngineAccess
}

export class Demo implements DemoDoor {
  readonly #deployment: string
  readonly #folder: string
  readonly #startedAt = Date.now()
  readonly #story = new Story()
  readonly #lane: Lane
  readonly #compare: Compare
  readonly #crowd: Crowd
  readonly #strikes: Strikes
  readonly #opening: Promise<DemoDatabase>
  readonly #over = new AbortController()
  #database: DemoDatabase | undefined
  #ground: DemoGround | undefined
  #ticking: Promise<void> = Promise.resolve()
  #databaseTimer: NodeJS.Timeout | undefined
  /** The fault of the deployment that lasted when it was looked last. */
  #fault: string | null = null
  #lastFault: string | null = null
  /** Processes whose end was told. */
  readonly #told = new Set<string>()
  /** Ends hearing the controller. */
  #deafen: () => void = () => undefined

  /** Begins to start all that does not need the deployment. */
  constructor({ home, deployment }: DemoOptions) {
    this.#deployment = deployment
    this.#folder = freshFolder(home)
    this.#opening = openDatabase(this.#folder)
    // Whoever awaits `begin` hears of it; nobody else does until then.
    this.#opening.catch(() => undefined)
    this.#lane = new Lane('holdfast', this.#folder)
    this.#compare = new Compare(this.#folder, (line) => this.#say(line))
    this.#strikes = new Strikes(deployment, this.#story, this.#compare)
    this.#crowd = new Crowd(this.#story, () => this.#lanes())
  }

  /** Opens the shops on a deployment that is up; resolves once they serve. */
  async begin(ground: DemoGround): Promise<void> {
    this.#ground = ground
    this.#database = await this.#opening
    await this.#lane.openShops(ground.engine, this.#database.place)
    await this.#seeItServe()
    await this.#lane.openDoors(ground.engine)
    this.#deafen = ground.platform.events.subscribe((event) => {
      if (event.deployment === this.#deployment && this.#story.hear(event)) this.#tellState()
    })
    this.#ticking = this.#tick()
  }

  state(): DemoState {
    return {
      deployment: this.#deployment,
      startedAt: this.#startedAt,
      requestsPerSecond,
      database: {
        kind: this.#database?.place.kind ?? 'PostgreSQL',
        delayMs: questionMs,
        limit: questionsAtOnce,
        running: this.#database?.running ?? false,
      },
      compare: this.#compare.state,
      samples: this.#story.samples,
      marks: this.#story.marks,
      faultUnderway: this.#faultUnderway(),
      buyers: this.#crowd.buyers,
      hot: this.#crowd.hot,
      keys: this.#keys(),
      lost: this.#lanes().flatMap((lane) => lane.lost.map((lost) => ({ lane: lane.name, ...lost }))),
    }
  }

  /** Where the shops can be looked at. */
  get shops(): readonly string[] {
    return this.#lane.urls
  }

  get notes(): readonly Note[] {
    return this.#story.notes
  }

  onFrame(listener: (frame: DemoFrame) => void): () => void {
    return this.#story.onFrame(listener)
  }

  onNote(listener: (note: Note) => void): () => void {
    return this.#story.onNote(listener)
  }

  async press(action: DemoAction, actor: string): Promise<string> {
    const ground = this.#running()
    const { binary, database } = ground
    try {
      switch (action) {
        case 'kill':
        case 'two':
        case 'freeze':
        case 'cache':
          return await this.#strikes.strike(action, ground.platform, actor)
        case 'database':
          return database.running ? await this.#stopDatabase(database) : await this.#startDatabase(database)
        case 'hot':
          return this.#crowd.sell()
        case 'buyers':
          return await this.#crowd.rush()
        case 'compare':
          return this.#turnCompare(binary, database)
        default:
          return action satisfies never
      }
    } finally {
      await this.#lookForFault()
      this.#tellState()
    }
  }

  /** The same by a key: a refusal is a line on the screen. */
  async pressKey(action: DemoAction): Promise<void> {
    await this.press(action, 'terminal').catch(this.#complain)
  }

  async stopFault(actor: string): Promise<string> {
    const { platform, database } = this.#running()
    if ((await this.#lookForFault()) === null)
      throw new HoldfastError('NOT_FOUND', 'no fault lasts now: there is nothing to stop')
    try {
      if (!database.running) return await this.#startDatabase(database)
      await this.#strikes.healAll(platform, actor)
      return 'the fault is over'
    } finally {
      await this.#lookForFault()
      this.#tellState()
    }
  }

  /** Ends everything but the deployment. */
  async close(): Promise<void> {
    this.#over.abort()
    clearTimeout(this.#databaseTimer)
    this.#deafen()
    this.#crowd.close()
    await this.#ticking
    await Promise.all([this.#lane.close(), this.#compare.turnOff()])
    await this.#opening.then(
      (database) => database.close(),
      () => undefined,
    )
    removeFolder(this.#folder)
  }

  #running(): DemoGround & { readonly database: DemoDatabase } {
    if (this.#ground !== undefined && this.#database !== undefined && !this.#over.signal.aborted) {
      return { ...this.#ground, database: this.#database }
    }
    throw new HoldfastError('UNREACHABLE_CONTROLLER', 'the demonstration is not there yet: try again in a moment')
  }

  async #stopDatabase(database: DemoDatabase): Promise<string> {
    const { kind } = database.place
    await database.stop()
    this.#databaseTimer = setTimeout(() => void this.#startDatabase(database).catch(this.#complain), databaseAwayMs)
    const what = `${kind} was stopped: it starts again in ${databaseAwayMs / 1000} s, or when d is pressed again`
    this.#story.mark('database', what)
    this.#say(what)
    return what
  }

  async #startDatabase(database: DemoDatabase): Promise<string> {
    clearTimeout(this.#databaseTimer)
    if (this.#over.signal.aborted || database.running) return `${database.place.kind} runs`
    await database.start()
    const what = `${database.place.kind} runs again`
    this.#story.explain('database', what)
    this.#say(what)
    return what
  }

  #turnCompare(binary: EngineBinary, database: DemoDatabase): string {
    const isOn = this.#compare.state === 'on' || this.#compare.state === 'starting'
    if (!isOn && !database.running) {
      throw new HoldfastError(
        'REFUSED_DRILL',
        'the database is stopped, and a shop cannot open without: start it first',
      )
    }
    const done = isOn ? this.#compare.turnOff() : this.#compare.turnOn(binary, database.place)
    void done.then(() => this.#tellState())
    const what = isOn
      ? 'stopping the engine alone'
      : 'starting the same shop on the engine alone: it takes some seconds'
    this.#story.mark('compare', what)
    this.#say(what)
    return what
  }

  /** Each second: what was counted, and what has changed beside. */
  async #tick(): Promise<void> {
    while (!this.#over.signal.aborted) {
      await delay(1000 - (Date.now() % 1000), undefined, { signal: this.#over.signal }).catch(() => undefined)
      if (this.#over.signal.aborted) return
      const at = Math.round(Date.now() / 1000) * 1000
      const samples = await Promise.all(this.#lanes().map((lane) => lane.report(at)))
      for (const sample of samples) this.#story.sample(sample)
      const isNews = this.#crowd.look(at)
      const fault = await this.#lookForFault()
      if (isNews || fault !== this.#lastFault) this.#tellState()
      this.#lastFault = fault
      this.#tellFallen()
    }
  }

  #tellFallen(): void {
    for (const name of this.#lane.fallen) {
      if (this.#told.has(name)) continue
      this.#told.add(name)
      this.#say(`${name} has ended by itself: its last words are in ${this.#folder}`)
    }
  }

  #lanes(): readonly Lane[] {
    const { lane } = this.#compare
    return lane === undefined ? [this.#lane] : [this.#lane, lane]
  }

  #faultUnderway(): string | null {
    if (this.#database?.running === false) return 'database'
    return this.#fault
  }

  async #lookForFault(): Promise<string | null> {
    const platform = this.#ground?.platform
    this.#fault = platform === undefined ? null : ((await this.#strikes.underway(platform))[0] ?? null)
    return this.#faultUnderway()
  }

  #keys(): DemoState['keys'] {
    return [
      ...shownProducts.map((number) => ({
        label: `product ${number}`,
        key: `shop:v:products/${productId(number - 1)}`,
      })),
      ...this.#lane.keys,
      ...this.#lane.lost.map(({ key }) => ({ label: 'missing', key })),
    ]
  }

  #tellState(): void {
    this.#story.send({ kind: 'state', state: this.state() })
  }

  #say(line: string): void {
    this.#story.note(line)
    this.#tellState()
  }

  readonly #complain = (error: unknown): void => this.#say(error instanceof Error ? error.message : String(error))

  /** A page of each shop, with its product from the database. */
  async #seeItServe(): Promise<void> {
    const pages = this.#lane.urls.map((url) => fetch(`${url}/products/${productId(0)}`))
    for (const { status } of await Promise.all(pages)) {
      if (status !== 200) throw new HoldfastError('UNREACHABLE_ENGINE', `the shop answers with status ${status}`)
    }
  }
}
