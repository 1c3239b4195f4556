/** Sessions over real HTTP, through the death of the node that has them. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import express, { type NextFunction, type Request, type Response } from 'express'
import expressSession from 'express-session'
import fastify from 'fastify'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { HoldfastStore as ExpressStore } from '../../../packages/cache/src/adapters/express-session.ts'
import { HoldfastStore as FastifyStore } from '../../../packages/cache/src/adapters/fastify-session.ts'
import type { SessionOptions } from '../../../packages/cache/src/adapters/session.ts'
import type { Cache } from '../../../packages/cache/src/cache.ts'
import { createCache } from '../../../packages/cache/src/create-cache.ts'
import { slotOf } from '../../../packages/cache/src/engine/slots.ts'
import {
  type EngineNode,
  type StartedCluster,
  type StartedStandalone,
  startCluster,
  startStandalone,
} from '../../support/cache-engines.ts'
import { eventually } from '../../support/eventually.ts'

declare module 'express-session' {
  interface SessionData {
    views?: number
  }
}
declare module 'fastify' {
  interface Session {
    views?: number
  }
}

const secret = 'a secret of at least thirty-two letters'
/** Ended after the test; those of a whole file are ended by itself. */
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

type Serve = (cache: Cache, options?: SessionOptions) => Promise<string>

/** Answers how often the session has been used, and what its id is. `/look` leaves it as it is, `/save` waits until it is saved, `/out` ends it. */
const frameworks: readonly (readonly [string, Serve])[] = [
  [
    'express',
    async (cache, options) => {
      const app = express()
      const store = new ExpressStore(cache, options)
      const cookie = { maxAge: 600_000 }
      app.use(expressSession({ store, secret, resave: false, saveUninitialized: false, cookie }))
      app.get('/out', (request, response, next) => {
        request.session.destroy((error: unknown) => (error ? next(error) : response.json({ out: true })))
      })
      app.get('/save', (request, response, next) => {
        request.session.views = 1
        request.session.save((error: unknown) => (error ? next(error) : response.json({ saved: true })))
      })
      app.get('/look', (request, response) => void response.json({ views: request.session.views ?? 0 }))
      app.get('/', (request, response) => {
        request.session.views = (request.session.views ?? 0) + 1
        response.json({ views: request.session.views, id: request.sessionID })
      })
      app.use((error: { code?: string }, _request: Request, response: Response, _next: NextFunction) => {
        response.status(503).json({ code: error.code })
      })
      return listening(app)
    },
  ],
  [
    'fastify',
    async (cache, options) => {
      const app = fastify()
      await app.register(fastifyCookie)
      const store = new FastifyStore(cache, options)
      const cookie = { maxAge: 600_000, secure: false }
      await app.register(fastifySession, { store, secret, saveUninitialized: false, cookie })
      app.get('/out', (request) => request.session.destroy().then(() => ({ out: true })))
      app.get('/save', (request) => {
        request.session.views = 1
        return request.session.save().then(() => ({ saved: true }))
      })
      app.get('/look', (request) => ({ views: request.session.views ?? 0 }))
      app.get('/', (request) => {
        request.session.views = (request.session.views ?? 0) + 1
        return { views: request.session.views, id: request.session.sessionId }
      })
      app.setErrorHandler((error: { code?: string }, _request, reply) => reply.status(503).send({ code: error.code }))
      closing.push(() => app.close())
      return app.listen({ port: 0, host: '127.0.0.1' })
    },
  ],
]

async function listening(app: RequestListener): Promise<string> {
  const server = createServer(app).listen(0, '127.0.0.1')
  closing.push(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Page {
  readonly status: number
  readonly body: { readonly views?: number; readonly id?: string; readonly code?: string }
  readonly setCookie: string | null
}

/** One browser: it sends the cookie that it was last given. */
function browser(url: string) {
  let cookie = ''
  return async (path = '/'): Promise<Page> => {
    const response = await fetch(url + path, { headers: cookie === '' ? {} : { cookie } })
    const setCookie = response.headers.get('set-cookie')
    if (setCookie !== null) [cookie = ''] = setCookie.split(';')
    return { status: response.status, setCookie, body: (await response.json()) as Page['body'] }
  }
}

function openCache(url: string, namespace: string): Cache {
  const cache = createCache({ url, namespace })
  closing.push(() => cache.close())
  return cache
}

describe.each(frameworks)('sessions of %s', (name, serve) => {
  let engine: StartedStandalone
  beforeAll(async () => {
    engine = await startStandalone()
  })
  afterAll(() => engine.close())
  const cacheOf = (): Cache => openCache(`redis://127.0.0.1:${engine.node.address.port}`, name)

  test('are the same in every process, and end by logging out', async () => {
    const [here, there] = await Promise.all([serve(cacheOf()), serve(cacheOf())])
    const visit = browser(here)
    expect((await visit()).body.views).toBe(1)
    const { body } = await visit()
    expect(body.views).toBe(2)
    const key = `${name}:d:/{${body.id}}:session`
    expect(await engine.node.command('PTTL', key)).toSatisfy((ms: number) => ms > 590_000 && ms <= 600_000)
    await visit('/out')
    expect(await engine.node.command('EXISTS', key)).toBe(0)
    const elsewhere = browser(there)
    expect((await elsewhere()).body.views).toBe(1)
  })

  test('are prolonged by being used', async () => {
    const visit = browser(await serve(cacheOf()))
    const { body } = await visit()
    const key = `${name}:d:/{${body.id}}:session`
    await engine.node.command('PEXPIRE', key, '5000')
    expect((await visit('/look')).body.views).toBe(1)
    expect(await engine.node.command('PTTL', key)).toSatisfy((ms: number) => ms > 590_000)
  })

  test('that cannot be read fail the request, and nobody is given a session without anything in it', async () => {
    const visit = browser(await serve(cacheOf(), { within: 300 }))
    expect((await visit()).body.views).toBe(1)
    engine.node.stop()
    try {
      const began = performance.now()
      const page = await visit('/look')
      expect(page).toEqual({ status: 503, body: { code: 'UNAVAILABLE' }, setCookie: null })
      expect(performance.now() - began).toBeLessThan(1500)
    } finally {
      engine.node.continue()
    }
    await eventually(async () => (await visit('/look')).body.views === 1)
  })

  test('that too few replicas have are not taken for saved by who waits for that', async () => {
    const page = await browser(await serve(cacheOf(), { durable: { within: 100 } }))('/save')
    expect(page).toMatchObject({ status: 503, body: { code: 'INDETERMINATE' } })
  })
})

describe.each(frameworks)('over a Cluster, sessions of %s', (name, serve) => {
  let cluster: StartedCluster
  beforeAll(async () => {
    cluster = await startCluster({ nodeTimeoutMs: 1000 })
  })
  afterAll(() => cluster.close())

  test('survive kill -9 of the primary that has them: every request is answered, in time and with its session', async () => {
    const url = `holdfast+cluster://${cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')}`
    const base = await serve(openCache(url, name))
    const visitors = Array.from({ length: 12 }, () => browser(base))
    const ids = await Promise.all(visitors.map(async (visit) => (await visit()).body.id as string))
    const shards = ids.map((id) => shardOf(`${name}:d:/{${id}}:session`))
    const [shard = 0] = shards
    const primary = cluster.primaries[shard]
    if (primary === undefined) throw new Error(`no primary of shard ${shard}`)
    // The engine's own replication may lose what the replica was not told; what it was told must come through.
    await eventually(() => isInStep(primary))
    await primary.kill()
    const slowest = await Promise.all(
      visitors.map(async (visit) => {
        let slowestMs = 0
        for (let views = 2; views <= 6; views++) {
          const began = performance.now()
          const page = await visit()
          slowestMs = Math.max(slowestMs, performance.now() - began)
          expect([page.status, page.body.views]).toEqual([200, views])
        }
        return slowestMs
      }),
    )
    expect(Math.max(...slowest)).toBeLessThan(5000)
    // The others did not wait for it.
    const others = slowest.filter((_, index) => shards[index] !== shard)
    if (others.length > 0) expect(Math.min(...others)).toBeLessThan(1000)
    expect(await cluster.replicas[shard]?.command('ROLE')).toContain('master')
  })
})

/** Slots are dealt out evenly at the start: see `startCluster`. */
const shardOf = (key: string): number => Math.floor((slotOf(key) * 3) / 16_384)

async function isInStep(primary: EngineNode): Promise<boolean> {
  const info = String(await primary.command('INFO', 'replication'))
  const offset = /^master_repl_offset:(\d+)/m.exec(info)?.[1]
  return offset !== undefined && info.includes(`offset=${offset},`)
}
