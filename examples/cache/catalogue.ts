/**
 * A product catalogue: read a thousand times for every change.
 *
 *     const products = catalogue(createCache({ url, namespace: 'shop', ttl: '5m' }), database)
 *     const { product, approximate } = await products.find('apple')
 *
 * A page is served from this process, else from the engine, else from the database, which is asked once however many
 * people wait. When the engine is away the database is asked, a few at a time; when the database is away the page shows
 * what was known. Only when both are away, and nothing was known, is there an error.
 */
import type { Cache } from '@holdfast/cache'

export interface Product {
  readonly id: string
  readonly name: string
  readonly category: string
  readonly priceCents: number
}

/** Where the products really are. */
export interface Database {
  find(id: string, signal: AbortSignal): Promise<Product | undefined>
  inCategory(category: string, signal: AbortSignal): Promise<readonly Product[]>
  save(product: Product): Promise<void>
}

export function catalogue(cache: Cache, database: Database) {
  const products = cache.namespace('products', {
    ttl: '5m',
    // For half a minute after that, one caller refreshes it and the others do not wait.
    staleWhileRevalidate: '30s',
    // And for an hour, an old price is better than no page.
    staleIfError: '1h',
    // People ask for what does not exist.
    negativeTtl: '10s',
  })
  const lists = cache.namespace('lists', { ttl: '1m', staleIfError: '1h' })

  return {
    async find(id: string): Promise<{ product: Product | undefined; approximate: boolean }> {
      const { value, stale } = await products.getOrSet<Product | undefined>(
        id,
        ({ signal }) => database.find(id, signal),
        {
          meta: true,
        },
      )
      return { product: value, approximate: stale }
    },

    /** Written with a tag, so that a change of one product reaches every list that may show it. */
    category(category: string): Promise<readonly Product[]> {
      return lists.getOrSet(category, ({ signal }) => database.inCategory(category, signal), {
        tags: [`category:${category}`],
      })
    },

    /**
     * The database first: it is the truth. Then the caches are told, here and in all processes; if the engine is away
     * they are told when it is back, and no write has failed for it.
     */
    async change(product: Product): Promise<void> {
      await database.save(product)
      await products.delete(product.id)
      await lists.invalidateTags([`category:${product.category}`])
    },
  }
}
