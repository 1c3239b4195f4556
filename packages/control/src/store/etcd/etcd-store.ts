/**
 * Wanted state in etcd, for several controllers: no consensus of our own. Reading is from a mirror that a watch keeps, so
 * it is as old as the news of it at the most; writing is by compare-and-set at etcd, so an old mirror refuses and never
 * overwrites. Without a majority of etcd nothing is written and no lease is renewed: what is known is still shown.
 *
 * A removed deployment leaves its key behind, empty: its revision and its lease epoch go on rising if the name is used again.
 */
import type { Document } from '@holdfast/core'
import type { Clock } from '../../clock.ts'
import { conflict } from '../conflict.ts'
import { seal, unseal } from '../secret-key.ts'
import type { Lease, LeaseClaim, Store } from '../store.ts'
import type { Condition, Entry, EtcdGateway } from './gateway.ts'

/** etcd counts in whole seconds, and below two it may lose the lease to one slow disk. */
const leaseSecondsMin = 2
const watchAgainMs = 500
const removeTriesMax = 5

export interface EtcdStoreOptions {
  readonly gateway: EtcdGateway
  /** All keys of this home are below it. ASCII, with a '/' at its end. */
  readonly prefix: string
  /** Seals the passwords: every controller of the home has the same. */
  readonly key: Buffer
  readonly clock: Clock
}

/** What lies below a document's key. `text` null: it was removed. */
interface Kept {
  readonly revision: number
  readonly text: { readonly body: Omit<Document, 'secrets' | 'revision'>; readonly sealed: string } | null
}

interface Held {
  readonly lease: string
  readonly holder: string
  readonly epoch: number
}

export class EtcdStore implements Store {
  readonly #options: EtcdStoreOptions
  readonly #mirror = new Map<string, Entry>()
  readonly #held = new Map<string, Held>()
  readonly #over = new AbortController()
  #revision = 0

  private constructor(options: EtcdStoreOptions) {
    this.#options = options
  }

  /** Throws UNREACHABLE_STORE where etcd cannot be read. */
  static async open(options: EtcdStoreOptions): Promise<EtcdStore> {
    const store = new EtcdStore(options)
    await store.#readAll()
    void store.#follow()
    return store
  }

  names(): string[] {
    const prefix = this.#documentKey('')
    return [...this.#mirror]
      .filter(([key, entry]) => key.startsWith(prefix) && keptIn(entry).text !== null)
      .map(([key]) => key.slice(prefix.length))
      .sort()
  }

  load(name: string): Document | undefined {
    const entry = this.#mirror.get(this.#documentKey(name))
    if (entry === undefined) return undefined
    const { revision, text } = keptIn(entry)
    if (text === null) return undefined
    const secrets = JSON.parse(unseal(this.#options.key, name, text.sealed)) as Document['secrets']
    return { ...text.body, revision, secrets }
  }

  async save(document: Document): Promise<Document> {
    const { secrets, revision, ...body } = document
    const { name } = document
    const entry = this.#mirror.get(this.#documentKey(name))
    const kept = entry === undefined ? { revision: 0, text: null } : keptIn(entry)
    const isSeen = revision === 0 ? kept.text === null : kept.text !== null && kept.revision === revision
    const saved = { ...document, revision: kept.revision + 1 }
    const sealed = seal(this.#options.key, name, JSON.stringify(secrets))
    if (!isSeen || !(await this.#keep(name, entry, { revision: saved.revision, text: { body, sealed } }))) {
      await this.#readAll()
      throw conflict(name, revision)
    }
    return saved
  }

  async remove(name: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      const entry = this.#mirror.get(this.#documentKey(name))
      const kept = entry === undefined ? undefined : keptIn(entry)
      if (kept === undefined || kept.text === null) return
      if (await this.#keep(name, entry, { revision: kept.revision + 1, text: null })) return
      if (tries >= removeTriesMax) throw conflict(name, kept.revision)
      await this.#readAll()
    }
  }

  /** Renewed late, it is another lease, in another epoch: etcd counts the time, and nobody else. */
  async lease(name: string, claim: LeaseClaim): Promise<Lease> {
    const mine = this.#held.get(name)
    if (mine?.holder === claim.holder) {
      const seconds = await this.#options.gateway.keepAlive(mine.lease)
      if (seconds > 0) return { holder: mine.holder, epoch: mine.epoch, until: claim.now + seconds * 1000 }
      this.#held.delete(name)
    }
    return this.#claim(name, claim)
  }

  async release(name: string, holder: string): Promise<void> {
    const mine = this.#held.get(name)
    if (mine?.holder !== holder) return
    this.#held.delete(name)
    await this.#options.gateway.revoke(mine.lease)
  }

  close(): void {
    this.#over.abort()
  }

  async #claim(name: string, { holder, now, forMs }: LeaseClaim): Promise<Lease> {
    const { gateway } = this.#options
    const [holderKey, epochKey] = [`${this.#leaseKey(name)}holder`, `${this.#leaseKey(name)}epoch`]
    const { entries } = await gateway.read(this.#leaseKey(name))
    const current = entries.find(({ key }) => key === holderKey)
    const counted = entries.find(({ key }) => key === epochKey)
    const epoch = Number(counted?.value ?? 0)
    if (current !== undefined) return { holder: current.value, epoch, until: now + forMs }
    const granted = await gateway.grant(Math.max(leaseSecondsMin, Math.ceil(forMs / 1000)))
    const isFree: Condition[] = [{ key: holderKey, absent: true }, unchanged(epochKey, counted)]
    const done = await gateway.writeIf(isFree, [
      { put: epochKey, value: String(epoch + 1) },
      { put: holderKey, value: holder, lease: granted.id },
    ])
    if (done !== undefined) {
      this.#held.set(name, { lease: granted.id, holder, epoch: epoch + 1 })
      return { holder, epoch: epoch + 1, until: now + granted.seconds * 1000 }
    }
    await gateway.revoke(granted.id)
    // Somebody was faster, and has it now.
    const after = new Map((await gateway.read(this.#leaseKey(name))).entries.map(({ key, value }) => [key, value]))
    return { holder: after.get(holderKey) ?? '', epoch: Number(after.get(epochKey) ?? epoch), until: now + forMs }
  }

  async #keep(name: string, before: Entry | undefined, kept: Kept): Promise<boolean> {
    const key = this.#documentKey(name)
    const value = JSON.stringify(kept)
    const writtenAt = await this.#options.gateway.writeIf([unchanged(key, before)], [{ put: key, value }])
    if (writtenAt === undefined) return false
    this.#note({ key, value, writtenAt, lease: '0' })
    return true
  }

  /** The news of a write may come after a later one of our own. */
  #note(entry: Entry): void {
    const known = this.#mirror.get(entry.key)
    if (known === undefined || known.writtenAt < entry.writtenAt) this.#mirror.set(entry.key, entry)
  }

  async #readAll(): Promise<void> {
    const { entries, revision } = await this.#options.gateway.read(this.#documentKey(''))
    for (const entry of entries) this.#note(entry)
    this.#revision = Math.max(this.#revision, revision)
  }

  /** Hears of what others write, as long as this is open; where the connection is lost, all is read anew. */
  async #follow(): Promise<void> {
    const { signal } = this.#over
    while (!signal.aborted) {
      try {
        for await (const changes of this.#options.gateway.watch(this.#documentKey(''), this.#revision, signal)) {
          for (const { entry } of changes) if (entry !== null) this.#note(entry)
        }
        await this.#readAll()
      } catch {
        // What is known stays known; without etcd nothing is written and no lease renewed, so nobody acts on it.
        await this.#readAll().catch(() => undefined)
      }
      await this.#options.clock.sleep(watchAgainMs, signal)
    }
  }

  #documentKey(name: string): string {
    return `${this.#options.prefix}documents/${name}`
  }

  #leaseKey(name: string): string {
    return `${this.#options.prefix}leases/${name}/`
  }
}

const keptIn = ({ value }: Entry): Kept => JSON.parse(value) as Kept

const unchanged = (key: string, before: Entry | undefined): Condition =>
  before === undefined ? { key, absent: true } : { key, writtenAt: before.writtenAt }
