/**
 * The classic way to move slots: both engines are told of each, its keys are sent in parcels, and then the slot has
 * another owner. Clients that ask meanwhile are sent on by the engines. The source is the authority for every key that
 * it still has, so a key that is on both sides, since somebody stopped before, is replaced on the target.
 */
import { slotsIn } from '@holdfast/core'
import type { Admin } from '../change-engine.ts'
import type { Lines, Words } from './lines.ts'
import type { LeftSlot, Moved, MoveOrder } from './order.ts'
import { firstPace, nextPace, restMs } from './pace.ts'
import type { Parcel, SizedKey } from './parcel.ts'
import { aloneAboveBytes, nextGroup, parcelsOf } from './parcel.ts'

/** So many slots are open at once, or fewer where they have more keys than this. */
const slotsAtOnce = 64
const keysAtOnce = 2000
/** Names of so many keys are read in one answer. */
const namesAtOnce = 2000
/** So few go together of which nobody knows how big they are. */
const unweighedBytes = aloneAboveBytes / 10

/** Bytes that these keys take together. One question a slot, where one a key would take longer than to move them. */
const weigh =
  "local sum = 0 for _, key in ipairs(KEYS) do sum = sum + (redis.call('MEMORY', 'USAGE', key) or 0) end return sum"

/** What clients of either engine may wait for one group of keys. */
const budgetMs = 3
const migrateTimeoutMs = 1000
/** A big key may take the target as long as this for each megabyte. */
const msPerMegabyte = 100

/** Between whom, and as whom. */
export interface Between {
  readonly source: Lines
  readonly sourceId: string
  readonly target: Lines
  readonly admin: Admin
  readonly now: () => number
  readonly rest: (ms: number) => Promise<void>
}

export interface Watch {
  /** Throws where this work is no longer wanted, or another controller has taken over. Asked where no slot is open. */
  readonly guard: () => void
  /** Told how many bytes have been moved. */
  readonly progress: (bytes: number) => void
}

export async function moveClassic(order: MoveOrder, between: Between, watch: Watch): Promise<Moved> {
  const mover = new ClassicMove(order, between, watch)
  const waiting = slotsIn(order.slots)
  while (waiting.length > 0) {
    watch.guard()
    await mover.moveSome(waiting)
  }
  return mover.moved
}

interface SlotContents {
  readonly slot: number
  readonly parcels: readonly Parcel[]
}

class ClassicMove {
  readonly #order: MoveOrder
  readonly #between: Between
  readonly #watch: Watch
  #pace = firstPace
  #slots = 0
  #keys = 0
  #bytes = 0
  readonly #left: LeftSlot[] = []

  constructor(order: MoveOrder, between: Between, watch: Watch) {
    this.#order = order
    this.#between = between
    this.#watch = watch
  }

  get moved(): Moved {
    return { slots: this.#slots, keys: this.#keys, bytes: this.#bytes, left: this.#left }
  }

  /** Takes the next slots off `waiting`, and moves them from their first key to their new owner. */
  async moveSome(waiting: number[]): Promise<void> {
    const { source, target, sourceId } = this.#between
    const { targetId } = this.#order
    const found = await this.#contents(waiting.splice(0, await this.#howMany(waiting)))
    const { slots, parcels } = this.#withoutHuge(found)
    if (slots.length === 0) return
    // Importing first: a source that already points at a target which is not importing sends clients in a circle.
    await target.tell(slots.map((slot) => setSlot(slot, 'IMPORTING', sourceId)))
    // Of a slot that it imports a target believes nobody: where the source was replaced by its replica, the target knows no
    // owner, and takes no key. It has just been told to import, which one that owns the slot refuses.
    if (this.#order.mends) await target.tell(slots.map((slot) => setSlot(slot, 'NODE', sourceId)))
    await source.tell(slots.map((slot) => setSlot(slot, 'MIGRATING', targetId)))
    // Read again until nothing is left: keys were written until the slot was open.
    for (let rest: readonly Parcel[] = parcels; ; ) {
      await this.#send(rest)
      rest = await this.#rest(slots)
      if (rest.length === 0) break
    }
    // The target hears it first: if it died before it knew, the slot would have no owner.
    await target.tell(slots.map((slot) => setSlot(slot, 'NODE', targetId)))
    await source.tell(slots.map((slot) => setSlot(slot, 'NODE', targetId)))
    this.#slots += slots.length
  }

  /** How many of the next slots are moved together. */
  async #howMany(waiting: readonly number[]): Promise<number> {
    const next = waiting.slice(0, slotsAtOnce)
    const counts = await this.#between.source.ask(next.map((slot) => ['CLUSTER', 'COUNTKEYSINSLOT', String(slot)]))
    let keys = 0
    const few = counts.findIndex((count) => {
      keys += Number(count)
      return keys > keysAtOnce
    })
    return few === -1 ? next.length : Math.max(1, few)
  }

  /** A slot with a key that is too big for the time it would take stays where it is, and that is said. */
  #withoutHuge(found: readonly SlotContents[]): { slots: number[]; parcels: Parcel[] } {
    const { keyBytesMax } = this.#order
    const fit = found.filter(({ slot, parcels }) => {
      // The biggest key comes last.
      const biggest = parcels.at(-1)?.keys.at(-1)
      if (biggest === undefined || biggest.bytes <= keyBytesMax) return true
      this.#left.push({ slot, key: String(biggest.key), bytes: biggest.bytes })
      return false
    })
    return { slots: fit.map(({ slot }) => slot), parcels: fit.flatMap(({ parcels }) => parcels) }
  }

  /** What these slots have, before they are open. */
  async #contents(slots: readonly number[]): Promise<SlotContents[]> {
    const { source } = this.#between
    const named = await this.#names(slots)
    const scales = await source.ask(named.map(({ keys }) => ['EVAL', weigh, String(keys.length), ...keys]))
    return Promise.all(
      named.map(async ({ slot, keys }, at) => {
        const bytes = Number(scales[at])
        const isLight = bytes <= aloneAboveBytes
        const sized = isLight
          ? keys.map((key) => ({ key, bytes: Math.round(bytes / keys.length) }))
          : await this.#sizesOf(keys)
        return { slot, parcels: parcelsOf(slot, sized) }
      }),
    )
  }

  /**
   * What is left in open slots. It is not weighed: the engine sends whoever asks for a key that has just expired on to
   * the target.
   */
  async #rest(slots: readonly number[]): Promise<Parcel[]> {
    const named = await this.#names(slots)
    return named.flatMap(({ slot, keys }) =>
      parcelsOf(
        slot,
        keys.map((key) => ({ key, bytes: unweighedBytes })),
      ),
    )
  }

  async #names(slots: readonly number[]): Promise<{ slot: number; keys: Buffer[] }[]> {
    const names = (await this.#between.source.ask(
      slots.map((slot) => ['CLUSTER', 'GETKEYSINSLOT', String(slot), String(namesAtOnce)]),
    )) as Buffer[][]
    return slots.map((slot, at) => ({ slot, keys: names[at] ?? [] }))
  }

  async #sizesOf(keys: readonly Buffer[]): Promise<SizedKey[]> {
    const answers = await this.#between.source.ask(keys.map((key) => ['MEMORY', 'USAGE', key]))
    return keys.map((key, at) => ({ key, bytes: Number(answers[at] ?? 0) }))
  }

  async #send(parcels: readonly Parcel[]): Promise<void> {
    const { source, now, rest } = this.#between
    let waiting = parcels
    while (waiting.length > 0) {
      const group = nextGroup(waiting, this.#pace)
      waiting = waiting.slice(group.length)
      const began = now()
      await source.ask(group.map((parcel) => this.#migrate(parcel)))
      const tookMs = now() - began
      const bytes = group.reduce((sum, parcel) => sum + parcel.bytes, 0)
      this.#pace = nextPace(this.#pace, tookMs, budgetMs)
      this.#keys += group.reduce((sum, { keys }) => sum + keys.length, 0)
      this.#bytes += bytes
      this.#watch.progress(this.#bytes)
      const restFor = restMs(bytes, tookMs, this.#order.bytesPerSecond)
      if (restFor > 0) await rest(restFor)
    }
  }

  #migrate({ keys, bytes }: Parcel): Words {
    const { target } = this.#order
    const { username, password } = this.#between.admin
    const timeoutMs = migrateTimeoutMs + Math.ceil((bytes / 1024 / 1024) * msPerMegabyte)
    const head = ['MIGRATE', target.address, String(target.port), '', '0', String(timeoutMs), 'REPLACE']
    return [...head, 'AUTH2', username, password, 'KEYS', ...keys.map(({ key }) => key)]
  }
}

const setSlot = (slot: number, how: 'IMPORTING' | 'MIGRATING' | 'NODE', engineId: string): Words => [
  'CLUSTER',
  'SETSLOT',
  String(slot),
  how,
  engineId,
]
