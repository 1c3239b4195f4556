/** What the shop sells: the products that everybody looks at, and some that nobody has looked at yet. */
export interface Product {
  readonly id: string
  readonly name: string
  readonly priceCents: number
}

export const productCount = 300
/** Each is asked for by a thousand buyers at once, and by nobody before. */
const limitedCount = 1000

export const productId = (index: number): string => `p${index + 1}`
export const limitedId = (index: number): string => `limited-${(index % limitedCount) + 1}`

/** How long a page of a product may be old, and the number of its pieces. */
export const productTtlS = 60
export const stockTtlS = 10

const kinds = ['Lamp', 'Chair', 'Kettle', 'Scarf', 'Radio', 'Clock', 'Globe', 'Kite', 'Vase', 'Drum']
const looks = ['small', 'red', 'quiet', 'round', 'old', 'light', 'blue', 'tall']

/** All products, as rows of the database. */
export function goods(): readonly (Product & { readonly stock: number })[] {
  const ids = [
    ...Array.from({ length: productCount }, (_, index) => productId(index)),
    ...Array.from({ length: limitedCount }, (_, index) => limitedId(index)),
  ]
  return ids.map((id, index) => ({
    id,
    name: `${kinds[index % kinds.length]}, ${looks[index % looks.length]}`,
    priceCents: 500 + ((index * 137) % 9500),
    stock: 5 + ((index * 31) % 90),
  }))
}
