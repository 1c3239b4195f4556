/**
 * The door of an agent to the controllers of its home: reading, telling, and one way to act, the envelope. Whoever is at
 * the other end has shown a certificate that says `controller`, or is not answered.
 */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type {
  Action,
  AgentGreeting,
  AgentNews,
  AgentTerms,
  AliveAnswered,
  HostFacts,
  LookAnswered,
  OrderSent,
} from '@holdfast/core'
import {
  agentApiVersion,
  HoldfastError,
  orderHeader,
  parseAgentId,
  parseAgentTerms,
  parseHold,
  parseLookAsked,
  parseOrderSent,
  parsePartAsked,
} from '@holdfast/core'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import fastify, { LogController } from 'fastify'
import type { Clock } from '../clock.ts'
import type { FaultHost } from '../host/faults/fault-host.ts'
import type { HostPort } from '../host/host.ts'
import { identityIn } from '../pki/certificate.ts'
import { answerError, answerNotFound } from '../server/errors.ts'
import { serveFaults } from './fault-routes.ts'
import type { Credentials } from './mutual-tls.ts'
import { refusalOf, secureTerms } from './mutual-tls.ts'
import type { SelfFence } from './self-fence.ts'

/** The files of a thousand nodes fit in many times over. */
const bodyBytesMax = 8 * 1024 ** 2
export const octets = 'application/octet-stream'
const aliveEveryMs = 1000
/** A controller that does not read its news for so long is cut off, and looks by itself. */
const backlogMax = 1000
const streamsMax = 16

export interface AgentServerOptions {
  readonly host: HostPort
  readonly faults: FaultHost
  readonly clock: Clock
  readonly boot: string
  /** Where the directories of the engines are. */
  readonly deployments: string
  readonly credentials: Credentials
  readonly terms: Map<string, AgentTerms>
  /** What this machine is, now; without it the greeting does not tell. */
  readonly facts?: () => HostFacts
  /** Whom this agent hears. */
  readonly watch: Pick<SelfFence, 'askedBy' | 'heldBy' | 'hearing'>
  readonly log: FastifyBaseLogger
}

/** What a controller compares, to know whether an agent has the terms that it sends. */
export const digestOf = (terms: AgentTerms): string =>
  createHash('sha256')
    .update(JSON.stringify([terms.engine, terms.admin, terms.owned, terms.hosts, terms.leaseAfterMs]))
    .digest('base64url')

/** JSON has no infinity; the smallest number is as long ago. */
export const toJson = (value: unknown): string =>
  JSON.stringify(value, (_key, one: unknown) => (one === Number.NEGATIVE_INFINITY ? -Number.MAX_VALUE : one))

export function buildAgent(options: AgentServerOptions) {
  const { host, clock, boot, deployments, credentials, terms, watch, facts, log } = options
  const app = fastify({
    https: secureTerms(credentials),
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyBytesMax,
    requestTimeout: 30_000,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
  }) as unknown as FastifyInstance
  const news = new News(clock)
  host.onExit(({ deployment, node, pid }) => news.tell({ kind: 'exit', deployment, node, pid }))
  host.onJobEnd((deployment) => news.tell({ kind: 'job-end', deployment }))

  app.addContentTypeParser(octets, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(answerNotFound)
  app.setReplySerializer((payload) => toJson(payload))
  app.addHook('onRequest', async ({ socket, method, routeOptions }) => {
    const isForHosts = method === 'GET' && routeOptions.url === '/v1/alive'
    const refusal = refusalOf(namesOf(socket as TLSSocket), isForHosts ? 'host' : 'controller')
    if (refusal !== undefined) throw refusal
  })
  app.addHook('preClose', async () => news.close())

  app.get(
    '/v1/host',
    async (): Promise<AgentGreeting> => ({
      apiVersion: agentApiVersion,
      host: host.id,
      now: host.now(),
      boot,
      deployments,
      ...(facts === undefined ? {} : { facts: facts() }),
    }),
  )

  // The other hosts of this home may ask this, and nothing else.
  app.get('/v1/alive', ({ socket }): Promise<AliveAnswered> => {
    const peer = identityIn(namesOf(socket as TLSSocket))?.name ?? ''
    refuseStranger(peer, terms)
    return Promise.resolve(watch.askedBy(peer))
  })

  app.post('/v1/hold', async ({ body }): Promise<AliveAnswered> => watch.heldBy(parseHold(body)))

  app.put<{ Params: { deployment: string } }>('/v1/terms/:deployment', async ({ params, body }) => {
    terms.set(parseAgentId(params.deployment), parseAgentTerms(body))
    return {}
  })

  app.post('/v1/look', async ({ body }): Promise<LookAnswered> => {
    const { deployment, nodes, sentinels, proxy, terms: believed } = parseLookAsked(body)
    const known = terms.get(deployment)
    if (known === undefined || digestOf(known) !== believed) throw withoutTerms(deployment)
    const [nodesSeen, sentinelsSeen, proxySeen] = await Promise.all([
      host.look(deployment, nodes),
      host.lookAtSentinels(deployment, sentinels),
      proxy === null ? null : host.lookAtProxy(deployment, proxy),
    ])
    return {
      now: host.now(),
      boot,
      nodes: Object.fromEntries(nodesSeen),
      sentinels: Object.fromEntries(sentinelsSeen),
      proxy: proxySeen,
      hearing: watch.hearing(),
    }
  })

  app.post('/v1/act', async ({ body, headers }) => {
    const order = Buffer.isBuffer(body) ? withPiece(headers[orderHeader], body) : parseOrderSent(body)
    if (order.boot !== boot) {
      const { deployment, action } = order.envelope
      const because = `refused ${action.kind} on ${action.node} of ${deployment}: this machine has started anew since it was asked for`
      throw new HoldfastError('REFUSED_EXPIRED', because, { deployment })
    }
    await host.act(order.envelope)
    return {}
  })

  app.post('/v1/part', async ({ body }, reply) => {
    reply.header('content-type', octets)
    return reply.send(await host.readPart(parsePartAsked(body)))
  })

  serveFaults(app, options)

  app.get('/v1/news', async (_request, reply) => {
    reply.header('content-type', 'application/x-ndjson')
    return reply.send(news.open())
  })
  return app
}

/**
 * A certificate outlives what it was made for: a host that was removed, or has nothing of what is here, is answered no
 * more. An agent that knows of no deployment yet cannot tell, and answers.
 */
function refuseStranger(peer: string, terms: ReadonlyMap<string, AgentTerms>): void {
  const known = [...terms.values()].flatMap(({ hosts = [] }) => hosts)
  if (terms.size === 0 || known.some(({ name }) => name === peer)) return
  throw new HoldfastError('AUTH_FORBIDDEN', `${peer.slice(0, 40)} is no host of any deployment that is here`, {
    host: peer.slice(0, 40),
  })
}

/** What the certificate at the other end of a connection says, which is read once: it stays the same as long as that lives. */
const peerNames = new WeakMap<TLSSocket, string>()

function namesOf(socket: TLSSocket): string {
  const known = peerNames.get(socket)
  if (known !== undefined) return known
  const names = socket.getPeerX509Certificate()?.subjectAltName ?? ''
  peerNames.set(socket, names)
  return names
}

/** The order to write a piece of a file, which is the body. */
function withPiece(header: string | string[] | undefined, piece: Buffer): OrderSent {
  const order = parseOrderSent(JSON.parse(String(header)))
  return { ...order, envelope: { ...order.envelope, action: { ...order.envelope.action, piece } as Action } }
}

/** The code alone would not tell it from a node that is not there. */
const withoutTerms = (deployment: string): HoldfastError =>
  new HoldfastError('NOT_FOUND', `this agent has no terms of ${deployment}, or old ones: send them`, {
    missing: 'terms',
  })

/** What happens here, told to all controllers that listen. */
class News {
  readonly #clock: Clock
  readonly #open = new Set<Readable>()
  readonly #over = new AbortController()

  constructor(clock: Clock) {
    this.#clock = clock
    void this.#beat()
  }

  open(): Readable {
    if (this.#open.size >= streamsMax) {
      throw new HoldfastError('UNREACHABLE_AGENT', `${streamsMax} controllers listen to this agent already`)
    }
    const stream = new Readable({ read: () => undefined, encoding: 'utf8' })
    this.#open.add(stream)
    stream.once('close', () => this.#open.delete(stream))
    stream.push(`${toJson({ kind: 'alive' })}\n`)
    return stream
  }

  tell(one: AgentNews): void {
    const line = `${toJson(one)}\n`
    for (const stream of this.#open) {
      if (stream.readableLength > backlogMax * line.length) stream.destroy()
      else stream.push(line)
    }
  }

  close(): void {
    this.#over.abort()
    for (const stream of this.#open) stream.push(null)
  }

  async #beat(): Promise<void> {
    for (;;) {
      await this.#clock.sleep(aliveEveryMs, this.#over.signal)
      if (this.#over.signal.aborted) return
      this.tell({ kind: 'alive' })
    }
  }
}
