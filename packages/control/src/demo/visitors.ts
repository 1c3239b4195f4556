/** What visitors of a shop do: most look at a few products, some look into their cart, some put something in. */
import { productCount, productId } from './goods.ts'

export interface Visit {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly visitor: string
}

const visitorCount = 200
/** The second product is read half as often as the first, the third a third as often, and so on, but less steeply. */
const steepness = 0.9

const weights = Array.from({ length: productCount }, (_, index) => 1 / (index + 1) ** steepness)
const total = weights.reduce((sum, weight) => sum + weight, 0)
/** Up to which part of all reads a product goes, the most popular first. */
const upTo: readonly number[] = weights.reduce<number[]>(
  (sums, weight) => [...sums, (sums.at(-1) ?? 0) + weight / total],
  [],
)

/** The next visit. `random` answers 0 to 1; `wanted`: what all who look at a product look at now. */
export function nextVisit(random: () => number, wanted: string | null): Visit {
  const visitor = `v${Math.floor(random() * visitorCount) + 1}`
  const product = wanted ?? popularProduct(random())
  const what = random()
  if (what < 0.72) return { method: 'GET', path: `/products/${product}`, visitor }
  if (what < 0.86) return { method: 'GET', path: `/products/${product}/stock`, visitor }
  if (what < 0.94) return { method: 'GET', path: '/cart', visitor }
  return { method: 'POST', path: `/cart/${product}`, visitor }
}

function popularProduct(at: number): string {
  let [low, high] = [0, productCount - 1]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if ((upTo[middle] ?? 1) < at) low = middle + 1
    else high = middle
  }
  return productId(low)
}
