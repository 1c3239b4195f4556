/** One lane: two processes of the shop, and one with its visitors and writers. */
import type { DemoKey, LaneName, LaneSample } from '@holdfast/core'
import { Child } from './child.ts'
import type { DatabasePlace } from './database.ts'
import type {
  EngineAccess,
  FromLoad,
  FromShop,
  LoadFigures,
  ShopFigures,
  ToLoad,
  ToShop,
  WatchedProduct,
} from './messages.ts'
import { sampleOf } from './sample.ts'

const openWithinMs = 20_000
/** Who has not counted by then is counted in the next second. */
const reportWithinMs = 600
const buyersWithinMs = 30_000

/** A lane has two shops. */
const parts = [0, 1] as const

/** Each lane's visitors come so often. */
export const requestsPerSecond = 200

export class Lane {
  readonly name: LaneName
  readonly #shops: readonly Child<ToShop, FromShop>[]
  readonly #load: Child<ToLoad, FromLoad>
  #ports: readonly number[] = []
  #last: LaneSample | undefined
  #lastLoad: LoadFigures | undefined
  #watched: readonly Readonly<Record<string, WatchedProduct>>[] = []

  /** Starts the processes; they do nothing until `open`. */
  constructor(name: LaneName, folder: string) {
    this.name = name
    this.#shops = parts.map((part) => new Child('shop-process', `${name}-shop-${part + 1}`, folder))
    this.#load = new Child('load-process', `${name}-load`, folder)
  }

  /** Opens the shops; nobody comes yet. */
  async openShops(engine: EngineAccess, database: DatabasePlace): Promise<void> {
    const { name } = this
    const opened = this.#shops.map((shop, index) => {
      const part = parts[index] ?? 0
      return shop.open({ kind: 'open', lane: name, engine, database, part }, 'open', openWithinMs)
    })
    this.#ports = (await Promise.all(opened)).flatMap((answer) => (answer.kind === 'open' ? [answer.port] : []))
  }

  /** Lets the visitors in. */
  async openDoors(engine: EngineAccess): Promise<void> {
    const order = { kind: 'open', lane: this.name, engine, shops: this.#ports, requestsPerSecond } as const
    await this.#load.open(order, 'open', openWithinMs)
  }

  /** Where the shops are, for somebody who wants to look at a page. */
  get urls(): readonly string[] {
    return this.#ports.map((port) => `http://127.0.0.1:${port}`)
  }

  /** Some keys of its engine that are there, by what they hold. */
  get keys(): readonly DemoKey[] {
    const { buyer = null, lastKey = null } = this.#lastLoad ?? {}
    const last = lastKey === null ? [] : [{ label: 'the last acknowledged write', key: lastKey }]
    return buyer === null ? last : [...keysOfVisitor(buyer), ...last]
  }

  get lost(): LoadFigures['lost'] {
    return this.#lastLoad?.lost ?? []
  }

  /** Processes that have ended by themselves, by name. */
  get fallen(): readonly string[] {
    return [...this.#shops, this.#load].filter(({ isGone }) => isGone).map(({ name }) => name)
  }

  /** What was counted since the last time, by those who counted it. */
  async report(at: number): Promise<LaneSample> {
    const [shops, load] = await Promise.all([
      Promise.all(this.#shops.map((shop) => shopFigures(shop))),
      loadFigures(this.#load),
    ])
    const counted = shops.filter((figures) => figures !== undefined)
    this.#watched = counted.map(({ watched }) => watched)
    this.#lastLoad = load ?? this.#lastLoad
    this.#last = sampleOf({ lane: this.name, at, before: this.#last, shops: counted, load })
    return this.#last
  }

  watch(product: string): void {
    for (const shop of this.#shops) shop.tell({ kind: 'watch', product })
  }

  unwatch(product: string): void {
    for (const shop of this.#shops) shop.tell({ kind: 'unwatch', product })
  }

  /** What the shops had counted of a watched product when they reported last. */
  watched(product: string): WatchedProduct {
    const seen = this.#watched.flatMap((counts) => counts[product] ?? [])
    return {
      reads: seen.reduce((sum, { reads }) => sum + reads, 0),
      local: seen.reduce((sum, { local }) => sum + local, 0),
      queries: seen.reduce((sum, { queries }) => sum + queries, 0),
      isHot: seen.some(({ isHot }) => isHot),
    }
  }

  /** All that look at a product look at this one; null: at what they like. */
  sell(product: string | null): void {
    this.#load.tell({ kind: 'sale', product })
  }

  async rush(product: string, callers: number): Promise<{ tookMs: number; failed: number }> {
    const answer = await this.#load.ask((ask) => ({ kind: 'buyers', ask, product, callers }), buyersWithinMs)
    if (answer.kind !== 'buyers') throw new Error(`${this.#load.name} answered ${answer.kind}`)
    return { tookMs: answer.tookMs, failed: answer.failed }
  }

  /** The visitors go first: a closing shop would turn them away. */
  async close(): Promise<void> {
    await this.#load.close()
    await Promise.all(this.#shops.map((shop) => shop.close()))
  }
}

/** As `@holdfast/cache` names them in the shop's namespace. */
const keysOfVisitor = (visitor: string): DemoKey[] => [
  { label: `cart of visitor ${visitor.slice(1)}`, key: `shop:d:/{cart:${visitor}}:items` },
  { label: `session of visitor ${visitor.slice(1)}`, key: `shop:d:/{session:${visitor}}:data` },
]

async function shopFigures(shop: Child<ToShop, FromShop>): Promise<ShopFigures | undefined> {
  const answer = await shop.ask((ask) => ({ kind: 'report', ask }), reportWithinMs).catch(() => undefined)
  return answer?.kind === 'report' ? answer.figures : undefined
}

async function loadFigures(load: Child<ToLoad, FromLoad>): Promise<LoadFigures | undefined> {
  const answer = await load.ask((ask) => ({ kind: 'report', ask }), reportWithinMs).catch(() => undefined)
  return answer?.kind === 'report' ? answer.figures : undefined
}
