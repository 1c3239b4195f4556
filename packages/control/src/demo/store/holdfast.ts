/** The shop with `@holdfast/cache`. */
import type { Cache, Direct } from '@holdfast/cache'
import { CacheError, createCache } from '@holdfast/cache'
import { urlFor } from '@holdfast/core'
import { productTtlS, stockTtlS } from '../goods.ts'
import type { EngineAccess } from '../messages.ts'
import type { Questions } from '../questions.ts'
import type { Cart, Served, Session, ShopStore } from './store.ts'

const monthMs = 30 * 24 * 3_600_000
/** Reads of what has no source wait so long for the primary; then a copy that may be a moment old is as good. */
const primaryWithin = '250ms'
const anybodyWithin = '1200ms'

/** An hour-old page is better than none, and one that is a moment old better than one that lets its visitor wait. */
const whenSlow = { staleIfError: '1h', softDeadline: '400ms' } as const

const addScript = {
  name: 'demo-cart-add',
  lua: `
local count = redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return count`,
}

export function holdfastStore(access: EngineAccess, questions: Questions, questionsAtOnce: number): ShopStore {
  const cache = createCache({
    url: holdfastUrl(access),
    namespace: 'shop',
    // What the database stands without its cache, in this process.
    loads: { atOnceWhenAway: questionsAtOnce },
    // The shop is small: fifty reads a second of one product are a lot.
    hot: { perSecond: 50 },
  })
  const products = cache.namespace('products', { ttl: `${productTtlS}s`, ...whenSlow, negativeTtl: '10s' })
  const stock = cache.namespace('stock', { ttl: `${stockTtlS}s`, ...whenSlow })
  const cartOf = (visitor: string): Direct => cache.on(`{cart:${visitor}}`)

  return {
    product: (id) => served(products, id, () => questions.product(id)),
    stock: (id) => served(stock, id, () => questions.stock(id)),

    async session(visitor) {
      const own = cache.on(`{session:${visitor}}`)
      const known = await fromAnyCopy(own, ['GET', own.key('data')])
      if (typeof known.value === 'string') return JSON.parse(known.value) as Session
      const session: Session = { since: Date.now() }
      await own.setJson('data', session, { ttl: monthMs })
      return session
    },

    async cart(visitor) {
      const own = cartOf(visitor)
      const { value, stale } = await fromAnyCopy(own, ['HGETALL', own.key('items')])
      return { items: itemsOf(value), stale }
    },

    async addToCart(visitor, product, operation) {
      await cartOf(visitor).script(addScript, ['items'], [product, monthMs], { operation })
    },

    isHot: (id) => products.hotKeys(1).some(({ key, share }) => key === id && share > 0.2),
    close: () => cache.close(),
  }
}

export const holdfastUrl = ({ nodes, user, password }: EngineAccess): string =>
  urlFor(
    'holdfast',
    {
      topology: 'cluster',
      nodes: nodes.map(({ host, port }) => ({ address: host, port })),
      sentinels: [],
      masterName: '',
      user: user ?? 'default',
      password,
    },
    { showSecret: true },
  )

async function served<T>(cache: Cache, id: string, load: () => Promise<T>): Promise<Served<T>> {
  let asked = false
  const loader = (): Promise<T> => {
    asked = true
    return load()
  }
  const { value, source, stale } = await cache.getOrSet<T>(id, loader, { meta: true })
  return { value, asked, local: source === 'local', stale }
}

/** The primary's answer; where it does not come in time, that of a replica, which may be a moment old. */
async function fromAnyCopy(own: Direct, command: readonly string[]): Promise<{ value: unknown; stale: boolean }> {
  try {
    return { value: await own.call(command, { within: primaryWithin }), stale: false }
  } catch (error) {
    if (!(error instanceof CacheError) || !error.retry) throw error
    // While a copy becomes the primary there is none: whoever answers first is right.
    return await Promise.any([
      own.call(command, { within: anybodyWithin }).then((value) => ({ value, stale: false })),
      own.call(command, { within: anybodyWithin, readReplica: true }).then((value) => ({ value, stale: true })),
    ])
  }
}

/** Fields and values follow each other, or are a map, as the protocol has it. */
function itemsOf(reply: unknown): Cart {
  const flat =
    reply instanceof Map ? [...reply].flat() : Array.isArray(reply) ? reply : Object.entries(reply ?? {}).flat()
  return Object.fromEntries(flat.flatMap((name, at) => (at % 2 === 0 ? [[String(name), Number(flat[at + 1])]] : [])))
}
