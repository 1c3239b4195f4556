/** What a shop counts of itself. A second is what lies between two questions of the demonstration. */
import type { ShopFigures, WatchedProduct } from './messages.ts'

type Figure = Exclude<keyof ShopFigures, 'watched'>

const none = { requests: 0, errors: 0, stale: 0, queries: 0, loadsSaved: 0 }

export class Tally {
  #figures: Record<Figure, number> = { ...none }
  readonly #watched = new Map<string, { reads: number; local: number; queries: number }>()

  count(figure: Figure): void {
    this.#figures[figure]++
  }

  watch(product: string): void {
    this.#watched.set(product, { reads: 0, local: 0, queries: 0 })
  }

  unwatch(product: string): void {
    this.#watched.delete(product)
  }

  countOf(product: string, figure: 'reads' | 'local' | 'queries'): void {
    const watched = this.#watched.get(product)
    if (watched !== undefined) watched[figure]++
  }

  /** All since the last time. */
  take(isHot: (product: string) => boolean): ShopFigures {
    const watched = [...this.#watched].map(
      ([product, counts]) => [product, { ...counts, isHot: isHot(product) } satisfies WatchedProduct] as const,
    )
    const figures = { ...this.#figures, watched: Object.fromEntries(watched) }
    this.#figures = { ...none }
    return figures
  }
}
