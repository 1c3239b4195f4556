/**
 * Wanted state in etcd, for several controllers: no consensus of our own. Reading is from a mirror that a watch keeps, so
 * it is as old as the news of it at the most; writing is by compare-and-set at etcd, so an old mirror refuses and never
 * overwrites. Without a majority of etcd nothing is written and no lease is renewed: what is known is still shown.
 *
 * A removed deployment leaves its key behind, empty: its revision and its lease epoch go on rising if the name is used again.
 */
import type { Document } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import type { Clock } from '../../clock.ts'
import { conflict } from '../conflict.ts'
import { seal, unseal } from '../seal.ts'
import type { AdoptionStore, HomeStore, Lease, LeaseClaim, Settings } from '../store.ts'
import type { KeptDocument } from './documents.ts'
import { documentKey, keptIn, openDocument, textOfDocument } from './documents.ts'
import { EtcdAdoptions } from './etcd-adoptions.ts'
import { EtcdSettings } from './etcd-settings.ts'
import type { Condition, Entry, EtcdGateway } from './gateway.ts'
import { Mirror } from './mirror.ts'

/** etcd counts in whole seconds, and below two it may lose the lease to one slow disk. */
const leaseSecondsMin = 2
const removeTriesMax = 5
/** By which a controller learns at once that it has another key than the others. */
const checkKey = 'check'
const checkText = 'the key of this home'

export interface EtcdStoreOptions {
  readonly gateway: EtcdGateway
  /** All keys of this home are below it. ASCII, with a '/' at its end. */
  readonly prefix: string
  /** Seals the passwords: every controller of the home has the same. Made anew only where nothing is in etcd yet. */
  readonly key: (isNew: boolean) => Buffer
  readonly clock: Clock
}

interface Held {
  readonly lease: string
  readonly holder: string
  readonly epoch: number
}

export class EtcdStore implements HomeStore {
  readonly isShared = true
  /** A controller that is gone with its machine is replaced within this and a second. */
  readonly leaseMs = 3000
  readonly settings: Settings
  readonly adoptions: AdoptionStore
  readonly #gateway: EtcdGateway
  readonly #prefix: string
  readonly #mirror: Mirror
  readonly #key: Buffer
  readonly #held = new Map<string, Held>()
  /** Documents as last read, by when they were written. */
  readonly #opened = new Map<string, { readonly writtenAt: number; readonly document: Document }>()

  private constructor({ gateway, prefix }: EtcdStoreOptions, mirror: Mirror, key: Buffer) {
    this.#gateway = gateway
    this.#prefix = prefix
    this.#mirror = mirror
    this.#key = key
    this.settings = new EtcdSettings(mirror, key)
    this.adoptions = new EtcdAdoptions(mirror, key)
  }

  /** Throws UNREACHABLE_STORE where etcd cannot be read, REFUSED_UNSAFE where the key is not that of the others. */
  static async open(options: EtcdStoreOptions): Promise<EtcdStore> {
    const mirror = await Mirror.open(options.gateway, options.prefix, options.clock)
    try {
      const key = options.key(mirror.isEmpty)
      await proveKey(mirror, key)
      return new EtcdStore(options, mirror, key)
    } catch (error) {
      mirror.close()
      throw error
    }
  }

  names(): string[] {
    return this.#mirror.under(documentKey('')).flatMap(({ name, entry }) => (keptIn(entry).text === null ? [] : [name]))
  }

  load(name: string): Document | undefined {
    const entry = this.#mirror.get(documentKey(name))
    if (entry === undefined) return undefined
    const known = this.#opened.get(name)
    if (known?.writtenAt === entry.writtenAt) return structuredClone(known.document)
    const document = openDocument(name, keptIn(entry), this.#key)
    if (document === undefined) return undefined
    this.#opened.set(name, { writtenAt: entry.writtenAt, document: structuredClone(document) })
    return document
  }

  async save(document: Document): Promise<Document> {
    const { name, revision } = document
    const entry = this.#mirror.get(documentKey(name))
    const kept = entry === undefined ? { revision: 0, text: null } : keptIn(entry)
    const isSeen = revision === 0 ? kept.text === null : kept.text !== null && kept.revision === revision
    const saved = { ...document, revision: kept.revision + 1 }
    const text = textOfDocument(document, saved.revision, this.#key)
    if (!isSeen) await this.#mirror.readAll()
    if (!isSeen || !(await this.#keep(name, { revision: saved.revision, text }))) throw conflict(name, revision)
    return saved
  }

  async remove(name: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      const entry = this.#mirror.get(documentKey(name))
      const kept = entry === undefined ? undefined : keptIn(entry)
      if (kept === undefined || kept.text === null) return
      if (await this.#keep(name, { revision: kept.revision + 1, text: null })) return
      if (tries >= removeTriesMax) throw conflict(name, kept.revision)
    }
  }

  /** Renewed late, it is another lease, in another epoch: etcd counts the time, and nobody else. */
  async lease(name: string, claim: LeaseClaim): Promise<Lease> {
    const mine = this.#held.get(name)
    if (mine?.holder === claim.holder) {
      const seconds = await this.#gateway.keepAlive(mine.lease)
      if (seconds > 0) return { holder: mine.holder, epoch: mine.epoch, until: claim.now + seconds * 1000 }
      this.#held.delete(name)
    }
    return this.#claim(name, claim)
  }

  async release(name: string, holder: string): Promise<void> {
    const mine = this.#held.get(name)
    if (mine?.holder !== holder) return
    this.#held.delete(name)
    await this.#gateway.revoke(mine.lease)
  }

  epochOf(name: string): number {
    return Number(this.#mirror.get(`leases/${name}/epoch`)?.value ?? 0)
  }

  async beginAt(name: string, epoch: number): Promise<void> {
    const epochKey = `${this.#leaseKey(name)}epoch`
    await this.#gateway.writeIf([{ key: epochKey, absent: true }], [{ put: epochKey, value: String(epoch) }])
  }

  onChange(listener: (deployment: string | undefined) => void): () => void {
    return this.#mirror.onChange((key, isGone) => {
      const [kind, name] = key.split('/')
      if (kind === 'documents') listener(name)
      else if (kind !== 'leases') listener(undefined)
      else if (isGone) listener(name)
    })
  }

  close(): void {
    this.#mirror.close()
  }

  async #claim(name: string, { holder, now, forMs }: LeaseClaim): Promise<Lease> {
    const gateway = this.#gateway
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
      // What the last holder has saved is known before anything is done in its place.
      await this.#mirror.readAll()
      return { holder, epoch: epoch + 1, until: now + granted.seconds * 1000 }
    }
    await gateway.revoke(granted.id)
    // Somebody was faster, and has it now.
    const after = new Map((await gateway.read(this.#leaseKey(name))).entries.map(({ key, value }) => [key, value]))
    return { holder: after.get(holderKey) ?? '', epoch: Number(after.get(epochKey) ?? epoch), until: now + forMs }
  }

  #keep(name: string, kept: KeptDocument): Promise<boolean> {
    return this.#mirror.write(documentKey(name), JSON.stringify(kept))
  }

  #leaseKey(name: string): string {
    return `${this.#prefix}leases/${name}/`
  }
}

const unchanged = (key: string, before: Entry | undefined): Condition =>
  before === undefined ? { key, absent: true } : { key, writtenAt: before.writtenAt }

async function proveKey(mirror: Mirror, key: Buffer): Promise<void> {
  for (;;) {
    const sealed = mirror.get(checkKey)
    if (sealed === undefined) {
      if (await mirror.write(checkKey, seal(key, checkKey, checkText))) return
      continue
    }
    try {
      unseal(key, checkKey, sealed.value)
      return
    } catch (error) {
      throw new HoldfastError(
        'REFUSED_UNSAFE',
        'the secret.key of this home is not the one by which the other controllers have sealed what is in etcd. Copy theirs, for its owner alone to read, then start again; nothing was changed.',
        {},
        error,
      )
    }
  }
}
