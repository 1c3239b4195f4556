/** The same shop with a plain ioredis client at its defaults, as most shops have it: get, else query and set. */
import { Cluster } from 'ioredis'
import { productTtlS, stockTtlS } from '../goods.ts'
import type { EngineAccess } from '../messages.ts'
import type { Questions } from '../questions.ts'
import type { Served, Session, ShopStore } from './store.ts'

const monthS = 30 * 24 * 3600

export function ioredisStore(access: EngineAccess, questions: Questions): ShopStore {
  const redis = openIoredis(access)

  return {
    product: (id) => served(redis, `shop:product:${id}`, productTtlS, () => questions.product(id)),
    stock: (id) => served(redis, `shop:stock:${id}`, stockTtlS, () => questions.stock(id)),

    async session(visitor) {
      const known = await redis.get(`shop:session:${visitor}`)
      if (known !== null) return JSON.parse(known) as Session
      const session: Session = { since: Date.now() }
      await redis.set(`shop:session:${visitor}`, JSON.stringify(session), 'EX', monthS)
      return session
    },

    async cart(visitor) {
      const items = await redis.hgetall(`shop:cart:${visitor}`)
      const counts = Object.entries(items).map(([product, count]) => [product, Number(count)] as const)
      return { items: Object.fromEntries(counts), stale: false }
    },

    async addToCart(visitor, product) {
      await redis.hincrby(`shop:cart:${visitor}`, product, 1)
      await redis.expire(`shop:cart:${visitor}`, monthS)
    },

    isHot: () => false,
    close: async () => redis.disconnect(),
  }
}

export function openIoredis({ nodes, user, password }: EngineAccess): Cluster {
  const redis = new Cluster([...nodes], { redisOptions: { ...(user === null ? {} : { username: user }), password } })
  // Whoever made a call hears of it there; without a listener the client would write to the terminal.
  redis.on('error', () => undefined)
  return redis
}

async function served<T>(redis: Cluster, key: string, ttlS: number, load: () => Promise<T>): Promise<Served<T>> {
  const known = await redis.get(key)
  if (known !== null) return { value: JSON.parse(known) as T, asked: false, local: false, stale: false }
  const value = await load()
  if (value !== undefined) await redis.set(key, JSON.stringify(value), 'EX', ttlS)
  return { value, asked: true, local: false, stale: false }
}
