/** The pages of the shop: the same for both lanes, whoever keeps what is on them. */
import { randomUUID } from 'node:crypto'
import { escapeHtml } from '@holdfast/core'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { fastify } from 'fastify'
import type { Product } from './goods.ts'
import { productCount, productId } from './goods.ts'
import { LastSeen } from './last-seen.ts'
import { complain } from './parent.ts'
import type { Served, ShopStore } from './store/store.ts'
import type { Tally } from './tally.ts'

/** A page does not wait longer for the visitor's name. */
const sessionWithinMs = 300
/** After which a page says "being saved" and goes on without its visitor. */
const cartPatienceMs = 600
/** A cart that was promised and is not saved by then is an error. */
const cartWithinMs = 5500
/** So many carts are remembered as they were shown last. */
const cartsRemembered = 1000

interface OfProduct {
  Params: { id: string }
}

export function buildShop(store: ShopStore, tally: Tally): FastifyInstance {
  const app = fastify({ logger: false, forceCloseConnections: true })
  const carts = new LastSeen<Awaited<ReturnType<ShopStore['cart']>>>(cartsRemembered)
  countAnswers(app, tally)
  app.setErrorHandler((error, request, reply) => {
    complain(`${request.method} ${request.url}`, error)
    return page(reply.code(500), 'This did not work', '<p>Please try again in a moment.</p>')
  })

  app.get('/', async (_request, reply) => page(reply, 'A small shop', listOfGoods()))

  app.get<OfProduct>('/products/:id', async ({ params: { id }, headers }, reply) => {
    const [found, session] = await Promise.all([store.product(id), sessionOf(store, visitorOf(headers.cookie, reply))])
    countPage(tally, id, found)
    if (found.value === undefined) return page(reply.code(404), 'Not sold here', '')
    return page(reply, found.value.name, productOf(found.value, session, found.stale))
  })

  app.get<OfProduct>('/products/:id/stock', async ({ params: { id } }, reply) => {
    const found = await store.stock(id)
    countPage(tally, id, found)
    return page(reply, id, `<p>${found.value} left${found.stale ? `, ${approximate}` : ''}</p>`)
  })

  app.get('/cart', async ({ headers }, reply) => {
    const visitor = visitorOf(headers.cookie, reply)
    const { value, isLast } = await carts.elseLast(visitor, () => store.cart(visitor))
    const [{ items }, stale] = [value, value.stale || isLast]
    if (stale) tally.count('stale')
    const rows = Object.entries(items).map(([product, count]) => `<li>${count} × ${escapeHtml(product)}</li>`)
    return page(reply, 'Your cart', `<ul>${rows.join('')}</ul>${stale ? `<p>${approximate}</p>` : ''}`)
  })

  app.post<OfProduct>('/cart/:id', async ({ params: { id }, headers }, reply) => {
    const saved = store.addToCart(visitorOf(headers.cookie, reply), id, randomUUID())
    if (await within(saved, cartPatienceMs)) return reply.code(204).send()
    // Whoever promised it counts it, when it was not kept.
    const broken = (why: unknown): void => {
      tally.count('errors')
      complain('a cart that was promised', why)
    }
    within(saved, cartWithinMs - cartPatienceMs).then((isSaved) => isSaved || broken('not saved in time'), broken)
    return page(reply.code(202), 'Your cart', '<p>being saved</p>')
  })
  return app
}

/** Each answer once, as it left the house: what nobody waited for any more is counted by who gave up. */
function countAnswers(app: FastifyInstance, tally: Tally): void {
  app.addHook('onRequest', async (_request: FastifyRequest, reply: FastifyReply) => {
    reply.raw.once('finish', () => {
      if (reply.raw.destroyed) return
      tally.count('requests')
      if (reply.statusCode >= 500) tally.count('errors')
    })
  })
}

function countPage(tally: Tally, id: string, { asked, local, stale }: Served<unknown>): void {
  if (stale) tally.count('stale')
  if (!asked) tally.count('loadsSaved')
  tally.countOf(id, 'reads')
  if (local) tally.countOf(id, 'local')
}

/** A page without a name on it is better than none. */
function sessionOf(store: ShopStore, visitor: string): Promise<boolean> {
  return within(store.session(visitor), sessionWithinMs).catch(() => false)
}

/** Whether it is done by then. Throws what it throws until then. */
async function within(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  try {
    return await Promise.race([work.then(() => true), late])
  } finally {
    clearTimeout(timer)
    // What comes after that has no reader here.
    work.catch(() => undefined)
  }
}

function visitorOf(cookie: string | undefined, reply: FastifyReply): string {
  const [, known] = /(?:^|;\s*)visitor=([a-z0-9-]{1,40})/.exec(cookie ?? '') ?? []
  if (known !== undefined) return known
  const visitor = randomUUID()
  void reply.header('set-cookie', `visitor=${visitor}; Path=/; HttpOnly; SameSite=Strict`)
  return visitor
}

const approximate = 'approximate: as it was a moment ago'

function productOf({ id, name, priceCents }: Product, isKnown: boolean, stale: boolean): string {
  const price = `<p>${(priceCents / 100).toFixed(2)} €${stale ? `, ${approximate}` : ''}</p>`
  const greeting = isKnown ? '<p>Welcome back</p>' : ''
  return `${greeting}<h2>${escapeHtml(name)}</h2>${price}<p><a href="/products/${encodeURIComponent(id)}/stock">Stock</a></p>`
}

function listOfGoods(): string {
  const ids = Array.from({ length: Math.min(20, productCount) }, (_, index) => productId(index))
  return `<ul>${ids.map((id) => `<li><a href="/products/${id}">${id}</a></li>`).join('')}</ul><p><a href="/cart">Cart</a></p>`
}

function page(reply: FastifyReply, title: string, body: string): FastifyReply {
  const head = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escapeHtml(title)}</title>`
  return reply.type('text/html; charset=utf-8').send(`${head}<h1>${escapeHtml(title)}</h1>${body}</html>`)
}
