/**
 * A cart that lives in the engine only.
 *
 *     const cart = cartOf(cache, user.id)
 *     await cart.add('apple', 2, { operation: request.id })
 *     const order = await cart.checkOut(orderId)
 *
 * There is no database behind it, so a write that may or may not have been done is told: the page that sent `request.id`
 * sends it again, and two apples do not become four.
 */
import { type Cache, CacheError } from '@holdfast/cache'

const month = 30 * 24 * 3_600_000
const most = 99

export type Items = Readonly<Record<string, number>>

/** Adds, but not above the most of one article nor below nothing. Answers how many there are. */
const addScript = {
  name: 'cart-add',
  lua: `
local count = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0) + ARGV[2]
count = math.max(0, math.min(count, tonumber(ARGV[3])))
if count == 0 then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], count) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return count`,
}

export interface CartOptions {
  /** Waits until so many replicas have each change: then the death of one node loses nothing. Default 0. */
  readonly copies?: number
}

export function cartOf(cache: Pick<Cache, 'on'>, user: string, { copies = 0 }: CartOptions = {}) {
  const own = cache.on(`{cart:${encodeURIComponent(user)}}`)
  const durable = copies === 0 ? false : { copies }

  return {
    /** How many there are afterwards. Less than nothing takes away. */
    add(article: string, count: number, { operation }: { operation?: string } = {}): Promise<number> {
      const options = operation === undefined ? { durable } : { durable, operation }
      return own.script<number>(addScript, ['items'], [article, count, most, month], options)
    },

    async items(): Promise<Items> {
      return itemsOf(await own.call(['HGETALL', own.key('items')]))
    },

    /**
     * What was in it, which is then empty. Done once for an order: who asks again gets the same items, not an empty
     * cart. For longer than the operation is remembered, the order itself has to say that it exists.
     */
    async checkOut(order: string): Promise<Items> {
      const key = own.key('items')
      const commands = [
        ['HGETALL', key],
        ['DEL', key],
      ]
      const [items] = await own.transaction(commands, { operation: `order:${order}`, durable })
      if (items instanceof Error) throw items
      return itemsOf(items)
    },
  }
}

/** What a page can say when a change failed. */
export function sayWhy(error: unknown): string {
  if (!(error instanceof CacheError)) return 'This did not work.'
  if (error.code === 'INDETERMINATE') return 'We are not sure that this was saved. Please press the button again.'
  return error.retry ? 'Please try again in a moment.' : 'This did not work.'
}

/** Fields and values follow each other, or are a map, as the protocol has it. */
function itemsOf(reply: unknown): Items {
  if (reply instanceof Map) return itemsOf([...reply].flat())
  if (!Array.isArray(reply)) return itemsOf(Object.entries(reply as object).flat())
  return Object.fromEntries(reply.flatMap((name, at) => (at % 2 === 0 ? [[String(name), Number(reply[at + 1])]] : [])))
}
