import type { Adoption, Document, Status } from '@holdfast/core'
import { addressOf, checkName, HoldfastError, nameForForeign, parseForeignAddress } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import type { Reach } from '../engine/reach.ts'
import type { Log } from '../log.ts'
import type { AdoptedNow, AdoptWish } from '../server/platform.ts'
import { nameTaken } from '../store/sqlite-adoptions.ts'
import type { AdoptionStore, History } from '../store/store.ts'
import { discover, refuseKnown } from './adopt.ts'
import { ForeignWatch } from './watch.ts'

/** Each is a loop with connections of its own. */
const adoptionsMax = 50
/** How long a first look may take where nobody looks a second time. */
const firstLookWithinMs = 2000

export interface AdoptionDeskOptions {
  readonly controllerId: string
  readonly adoptions: AdoptionStore
  readonly history: History
  readonly clock: Clock
  readonly log: Log
  readonly onStatus: (status: Status) => void
  /** Where a connection may lead that a caller of the API asked for. */
  readonly reach: Reach
  /** All that Holdfast runs itself. */
  readonly documents: () => readonly Document[]
}

/** Deployments that somebody else runs: adopting, watching, forgetting. It reaches no host and no document. */
export class AdoptionDesk {
  readonly #options: AdoptionDeskOptions
  readonly #watches = new Map<string, { watch: ForeignWatch; done: Promise<void> }>()
  #running = false

  constructor(options: AdoptionDeskOptions) {
    this.#options = options
  }

  names(): string[] {
    return this.#options.adoptions.names()
  }

  has(name: string): boolean {
    return this.names().includes(name)
  }

  status(name: string): Status | undefined {
    return this.#watches.get(name)?.watch.status
  }

  /** Begins to watch all, or one alone. */
  run(only?: string): void {
    this.#running = true
    for (const name of this.names()) if (only === undefined || name === only) this.#watchOf(name)
  }

  /** Another controller may have adopted or forgotten one. */
  refresh(): void {
    if (!this.#running) return
    const names = this.names()
    for (const name of names) this.#watchOf(name)
    for (const [name, { watch }] of this.#watches) {
      if (names.includes(name)) continue
      watch.stop()
      this.#watches.delete(name)
    }
  }

  async stop(): Promise<void> {
    this.#running = false
    const watches = [...this.#watches.values()]
    for (const { watch } of watches) watch.stop()
    await Promise.all(watches.map(({ done }) => done))
    this.#watches.clear()
  }

  /** One look, for a home whose controller does not run. */
  async look(name: string): Promise<Status | undefined> {
    const { clock } = this.#options
    const { watch } = this.#watchOf(name)
    const deadline = clock.now() + firstLookWithinMs
    await watch.look()
    while (watch.status?.ready === 'unknown' && clock.now() < deadline) {
      await clock.sleep(100)
      await watch.look()
    }
    return watch.status
  }

  async adopt({ url, name, user, password, guarded }: AdoptWish, actor: string): Promise<AdoptedNow> {
    const { adoptions, clock, documents, reach } = this.#options
    const named = parseForeignAddress(url)
    const chosen = checkName(name ?? nameForForeign(named))
    if (this.has(chosen) || documents().some((one) => one.name === chosen)) throw nameTaken(chosen)
    if (this.names().length >= adoptionsMax) {
      const sentence = `${adoptionsMax} deployments are adopted here, and no more can be: forget one, or use another HOLDFAST_HOME`
      throw new HoldfastError('REFUSED_UNSAFE', sentence)
    }
    const secrets = { ...named.secrets, engine: password ?? named.secrets.engine }
    const address = { ...named, user: user ?? named.user, secrets }
    const found = await discover(address, { name: chosen, by: actor, clock, reach, guarded })
    const others = this.names().flatMap((other) => adoptions.load(other) ?? [])
    await refuseKnown(found, documents(), others)
    await adoptions.add(found)
    const because = `${chosen} is adopted: ${inWords(found)}. It is watched, and nothing is ever done to it`
    this.#record(chosen, because, actor)
    if (this.#running) this.#watchOf(chosen)
    return { name: chosen, because }
  }

  /** Nothing is touched there. Its events stay. */
  async forget(name: string, actor: string): Promise<void> {
    await this.#options.adoptions.remove(name)
    this.#watches.get(name)?.watch.stop()
    this.#watches.delete(name)
    this.#record(name, `${name} is forgotten: it runs on as it did, and nobody watches it here`, actor)
  }

  #watchOf(name: string): { watch: ForeignWatch; done: Promise<void> } {
    const known = this.#watches.get(name)
    if (known !== undefined) return known
    const watch = new ForeignWatch({ ...this.#options, name })
    const entry = { watch, done: this.#running ? watch.run() : Promise.resolve() }
    this.#watches.set(name, entry)
    return entry
  }

  #record(deployment: string, because: string, actor: string): void {
    const at = Math.round(this.#options.clock.wall())
    const draft = { epoch: 0, at, deployment, kind: 'spec', subject: deployment, because, cause: null, actor } as const
    this.#options.history.append(draft)
  }
}

function inWords({ topology, nodes, sentinels, seeds }: Adoption): string {
  const watched = sentinels.length === 0 ? '' : ` and ${sentinels.length} Sentinels`
  const found = `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}${watched}`
  return `${topology}, ${found}, found by ${seeds.map(addressOf).join(', ')}`
}
