/** What crowds do: a flash sale, where everybody wants one product, and a thousand buyers of one that nobody has asked for. */
import type { DemoState, HotProduct } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { limitedId, productId } from './goods.ts'
import type { Lane } from './lane.ts'
import type { Story } from './story.ts'

const saleMs = 15_000
const callers = 1000

interface Sale {
  readonly product: string
  readonly since: number
  readonly timer: NodeJS.Timeout
  reads: number
  local: number
  at: number
}

export class Crowd {
  readonly #story: Story
  readonly #lanes: () => readonly Lane[]
  #sale: Sale | undefined
  #foundAfterMs: number | undefined
  #hot: HotProduct | null = null
  #buyers: DemoState['buyers'] = null
  #rushes = 0
  #rushing = false
  #waiting: { readonly since: number; readonly resolve: () => void }[] = []

  constructor(story: Story, lanes: () => readonly Lane[]) {
    this.#story = story
    this.#lanes = lanes
  }

  get hot(): HotProduct | null {
    return this.#hot
  }

  get buyers(): DemoState['buyers'] {
    return this.#buyers
  }

  /** Everybody wants one product, for 15 s. Answers what was done. */
  sell(): string {
    if (this.#sale !== undefined) {
      throw new HoldfastError('REFUSED_DRILL', `the sale of ${this.#sale.product} goes on: wait until it is over`)
    }
    const product = productId(20 + Math.floor(Math.random() * 200))
    for (const lane of this.#lanes()) {
      lane.watch(product)
      lane.sell(product)
    }
    const now = Date.now()
    this.#foundAfterMs = undefined
    this.#sale = { product, since: now, at: now, reads: 0, local: 0, timer: setTimeout(() => this.#endSale(), saleMs) }
    this.#hot = { product, perSecond: 0, servedLocally: 0 }
    const what = `flash sale: twice as many visitors, and all of them want ${product}, for ${saleMs / 1000} s`
    this.#story.mark('hot', what)
    this.#story.note(what)
    return what
  }

  /** A thousand at once, over both shops of each lane. Answers what it cost. */
  async rush(): Promise<string> {
    if (this.#rushing)
      throw new HoldfastError('REFUSED_DRILL', 'the last thousand buyers are still there: wait for them')
    this.#rushing = true
    const product = limitedId(this.#rushes++)
    const lanes = this.#lanes()
    try {
      this.#story.mark('buyers', `${callers} buyers ask both processes for ${product} in one moment`)
      for (const lane of lanes) lane.watch(product)
      const costs = await Promise.all(lanes.map((lane) => lane.rush(product, callers)))
      // The shops are asked each second what they counted.
      await this.#nextLook()
      const told = lanes.map((lane, index) =>
        this.#costOf(lane, product, costs[index] ?? { tookMs: 0, failed: callers }),
      )
      for (const lane of lanes) lane.unwatch(product)
      const what = `${callers} buyers of ${product}: ${told.join('; ')}`
      this.#story.explain('buyers', what)
      this.#story.note(what)
      return what
    } finally {
      this.#rushing = false
    }
  }

  /** Looks at what the shops had counted at this time. True: there is something to tell. */
  look(countedAt: number): boolean {
    for (const { resolve } of this.#waiting.filter(({ since }) => since < countedAt)) resolve()
    this.#waiting = this.#waiting.filter(({ since }) => since >= countedAt)
    const sale = this.#sale
    const [lane] = this.#lanes()
    if (sale === undefined || lane === undefined) return false
    const { reads, local, isHot } = lane.watched(sale.product)
    const now = Date.now()
    const [more, moreLocal, seconds] = [reads - sale.reads, local - sale.local, (now - sale.at) / 1000]
    Object.assign(sale, { reads, local, at: now })
    if (more <= 0) return false
    const hot = { product: sale.product, perSecond: Math.round(more / seconds), servedLocally: moreLocal / more }
    this.#hot = hot
    if (isHot) {
      this.#foundAfterMs ??= now - sale.since
      this.#story.explain('hot', found(hot, this.#foundAfterMs))
    }
    return true
  }

  close(): void {
    clearTimeout(this.#sale?.timer)
    for (const { resolve } of this.#waiting) resolve()
  }

  #endSale(): void {
    const { product = '' } = this.#sale ?? {}
    for (const lane of this.#lanes()) {
      lane.sell(null)
      lane.unwatch(product)
    }
    const words =
      this.#hot === null || this.#foundAfterMs === undefined ? '' : `: ${found(this.#hot, this.#foundAfterMs)}`
    this.#sale = undefined
    this.#hot = null
    this.#story.note(`the sale of ${product} is over${words}`)
  }

  #costOf(lane: Lane, product: string, { tookMs, failed }: { tookMs: number; failed: number }): string {
    const { queries } = lane.watched(product)
    if (lane.name === 'holdfast') this.#buyers = { at: Date.now(), callers, loads: queries, tookMs }
    const who = lane.name === 'holdfast' ? '' : 'the engine alone '
    const inVain = failed === 0 ? 'all served' : `${failed} in vain`
    return `${who}${queries} ${queries === 1 ? 'question' : 'questions'} to the database, ${inVain} within ${(tookMs / 1000).toFixed(1)} s`
  }

  #nextLook(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ since: Date.now(), resolve }))
  }
}

const found = ({ product, perSecond, servedLocally }: HotProduct, afterMs: number): string =>
  `${product} was found to be hot after ${(afterMs / 1000).toFixed(0)} s: of ${perSecond} reads a second, ${Math.floor(servedLocally * 100)} % never leave the memory of the shops`
