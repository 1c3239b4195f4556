/** How a shop asks the database: a few questions at once, each of them slow, all of them counted. */
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'pg'
import { DatabaseFile } from '../store/database.ts'
import type { DatabasePlace } from './database.ts'
import { questionMs } from './database.ts'
import type { Product } from './goods.ts'

/** How long a question may wait for its turn: longer than any visitor does. */
const turnWithinMs = 3000
/** How many may stand in that line where it is ours. */
const waitingMax = 2000

type Field = 'product' | 'stock'

export interface Questions {
  product(id: string): Promise<Product | undefined>
  /** How many are left; 0 for what is not sold here. */
  stock(id: string): Promise<number>
  close(): Promise<void>
}

interface ProductRow {
  readonly id: string
  readonly name: string
  readonly price_cents: number
  readonly stock: number
}

type Ask = (id: string) => Promise<ProductRow | undefined>

/** `onAsked` hears of each question that reaches the database, answered or not. */
export function openQuestions(
  place: DatabasePlace,
  atOnce: number,
  onAsked: (what: Field, id: string) => void,
): Questions {
  const { ask, close } = place.kind === 'PostgreSQL' ? askPostgres(place, atOnce) : askSqlite(place.path, atOnce)
  const counted = (what: Field, id: string): ReturnType<Ask> => {
    onAsked(what, id)
    return ask(id)
  }
  return {
    async product(id) {
      const row = await counted('product', id)
      return row === undefined ? undefined : { id: row.id, name: row.name, priceCents: row.price_cents }
    },
    stock: async (id) => (await counted('stock', id))?.stock ?? 0,
    close,
  }
}

function askPostgres(place: DatabasePlace & { kind: 'PostgreSQL' }, atOnce: number) {
  const { port, user, password } = place
  const pool = new Pool({
    host: '127.0.0.1',
    port,
    user,
    password,
    database: 'postgres',
    max: atOnce,
    connectionTimeoutMillis: turnWithinMs,
  })
  // A connection that dies in the pool is opened again by the next question.
  pool.on('error', () => undefined)
  const sql = `SELECT id, name, price_cents, stock, pg_sleep(${questionMs / 1000}) FROM product WHERE id = $1`
  const ask: Ask = async (id) => (await pool.query<ProductRow>({ name: 'product', text: sql, values: [id] })).rows[0]
  return { ask, close: () => pool.end() }
}

function askSqlite(path: string, atOnce: number) {
  const file = new DatabaseFile({ path, synchronous: 'NORMAL', version: 1, schema: '' })
  let running = 0
  const waiting: (() => void)[] = []
  const turn = (): Promise<void> | undefined => {
    if (running < atOnce) return void running++
    if (waiting.length >= waitingMax) throw new Error('too many wait for the database')
    return new Promise((resolve) => waiting.push(resolve))
  }
  const ask: Ask = async (id) => {
    await turn()
    try {
      await delay(questionMs)
      if (!existsSync(path)) throw new Error('the database is stopped')
      return file.row('SELECT * FROM product WHERE id = ?', id) as ProductRow | undefined
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
  return { ask, close: async () => file.close() }
}
