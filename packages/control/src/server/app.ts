import { refusedAdopted } from '@holdfast/core'
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Access } from '../store/access.ts'
import type { AuditLog } from '../store/audit-log.ts'
import { accessOf, mayReadAdopted, namedInBody, raisedBy } from './access.ts'
import { Auditor } from './auditor.ts'
import { Sessions } from './auth/sessions.ts'
import { Throttle } from './auth/throttle.ts'
import { refuseDeep } from './body.ts'
import { bearerOf, identify, refuseCaller, refuseRole } from './caller.ts'
import type { DemoDoor } from './demo-door.ts'
import { answerError, answerNotFound } from './errors.ts'
import { setSecurityHeaders } from './headers.ts'
import { refuseForeignHost, refuseForeignOrigin, refuseWithoutOwnHeader } from './origin.ts'
import type { Platform } from './platform.ts'
import { adoptionRoutes } from './routes/adoptions.ts'
import { apiTokenRoutes } from './routes/api-tokens.ts'
import { auditRoutes } from './routes/audit.ts'
import { backupRoutes } from './routes/backups.ts'
import { demoRoutes } from './routes/demo.ts'
import { deploymentRoutes } from './routes/deployments.ts'
import { eventRoutes } from './routes/events.ts'
import { faultRoutes } from './routes/faults.ts'
import { healthRoutes, isHealth } from './routes/health.ts'
import { hostRoutes } from './routes/hosts.ts'
import { ledgerRoutes } from './routes/ledger.ts'
import { operationRoutes } from './routes/operations.ts'
import { panelRoutes } from './routes/panel.ts'
import { rebalanceRoutes } from './routes/rebalance.ts'
import { sessionRoutes } from './routes/session.ts'
import { specRoutes } from './routes/spec.ts'
import { targetRoutes } from './routes/targets.ts'
import { topologyRoutes } from './routes/topology.ts'
import { userRoutes } from './routes/users.ts'
import { watchRoutes } from './routes/watch.ts'
import { Streams } from './stream.ts'

/** By what callers are known: users and tokens, and the token of the command line. */
interface Auth {
  readonly access: Access
  readonly audit: AuditLog
  readonly bearerToken: string
}

export interface AppOptions {
  readonly platform: Platform
  readonly auth: Auth
  readonly clock: Clock
  /** Where the built panel lies. */
  readonly panelDir: string
  readonly log: FastifyBaseLogger
  /** The port that callers name in Host; without it the one that the connection came in by. */
  readonly port?: number
  /** Asked at each request, because a demonstration begins after the server; without it there is none. */
  readonly demo?: () => DemoDoor | undefined
}

/** Each process of each application may hold one. It needs only the last word, so it is never far behind. */
const feedBounds = { openMax: 1000, backlogBytesMax: 128 * 1024 }

/** The HTTP server, ready to listen or to be injected into. */
export function buildApp({
  platform,
  auth,
  clock,
  panelDir,
  log,
  port,
  demo = () => undefined,
}: AppOptions): FastifyInstance {
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 256 * 1024,
    requestTimeout: 30_000,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 100 },
  })
  const sessions = new Sessions(clock)
  const throttle = new Throttle(clock)
  const streams = new Streams(clock)
  const feeds = new Streams(clock, feedBounds)
  const { access, audit, bearerToken } = auth
  const auditor = new Auditor(audit, clock)

  app.removeContentTypeParser('text/plain')
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(answerNotFound)
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) {
      if (accessOf(one, url) === undefined) throw new Error(`${one} ${url} is not in the access table`)
    }
  })

  app.decorateRequest('caller')
  app.decorateRequest('change')
  app.decorateRequest('specBefore')
  app.decorateRequest('refusal')
  app.addHook('onRequest', setSecurityHeaders)
  app.addHook('onRequest', async (request) => {
    request.caller = { kind: 'nobody' }
    request.change = {}
    // Load balancers call a node by names of their own, and learn nothing that is worth a door.
    if (isHealth(request)) return
    refuseForeignHost(request, port)
    const hasBearer = bearerOf(request) !== undefined
    refuseForeignOrigin(request, hasBearer)
    refuseWithoutOwnHeader(request, hasBearer)
    if (request.is404) return
    request.caller = identify(request, { access, sessions, bearerToken, wall: () => clock.wall() })
    const needed = accessOf(request.method, request.routeOptions.url ?? '') ?? 'command line'
    // Which deployment a plan is about stands in its body, which is read for nobody who has no role at all.
    refuseCaller(request.caller, isPlan(request) ? 'some' : needed, nameIn(request))
  })
  app.addHook('preHandler', async (request) => {
    const { caller, body } = request
    refuseDeep(body)
    const route = routeOf(request)
    const name = namedInBody(route, body) ?? nameIn(request)
    if (isPlan(request)) refuseRole(caller, 'operator', name)
    request.specBefore = name === null ? undefined : platform.spec(name)?.spec
    const raised = raisedBy(route, body, request.specBefore)
    if (raised !== null) refuseRole(caller, 'admin', name, raised)
  })
  // Before the answer is on its way: whoever has heard that it was done finds the record of it.
  app.addHook('onSend', async (request, reply) => {
    if (request.is404) return
    const name = nameIn(request)
    auditor.record(request, reply.statusCode, name === null ? undefined : platform.spec(name)?.spec)
  })
  app.addHook('preClose', async () => {
    streams.endAll()
    feeds.endAll()
  })

  app.register(healthRoutes, { platform, clock })
  app.register(panelRoutes, { panelDir })
  app.register(
    async (api) => {
      api.addHook('preHandler', async ({ method, params, routeOptions }) => {
        const { name } = (params ?? {}) as { name?: string }
        if (name === undefined || mayReadAdopted(method, routeOptions.url ?? '')) return
        if (platform.isAdopted(name)) throw refusedAdopted(name)
      })
      api.register(adoptionRoutes, { platform })
      api.register(sessionRoutes, { sessions, throttle, access, hasDemo: () => demo() !== undefined })
      api.register(userRoutes, { access, clock })
      api.register(apiTokenRoutes, { access, clock })
      api.register(auditRoutes, { audit })
      api.register(targetRoutes, { access })
      api.register(deploymentRoutes, { platform })
      api.register(specRoutes, { platform })
      api.register(hostRoutes, { hosts: platform.hosts })
      api.register(watchRoutes, { platform, streams, clock })
      api.register(topologyRoutes, { platform, feeds })
      api.register(eventRoutes, { platform, streams })
      api.register(faultRoutes, { platform })
      api.register(operationRoutes, { platform })
      api.register(rebalanceRoutes, { platform })
      api.register(backupRoutes, { platform })
      api.register(ledgerRoutes, { platform, clock })
      api.register(demoRoutes, { demo, streams })
    },
    { prefix: '/api/v1' },
  )
  return app
}

const routeOf = ({ method, routeOptions }: FastifyRequest): string => `${method} ${routeOptions.url ?? ''}`

const isPlan = (request: FastifyRequest): boolean => namedInBody(routeOf(request), null) !== undefined

/** The deployment that the address names. */
const nameIn = ({ params }: FastifyRequest): string | null => ((params ?? {}) as { name?: string }).name ?? null
