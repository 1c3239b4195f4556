/**
 * The door by which machines join a home, and come back to be given their next certificate. Whoever comes in by a token
 * shows nothing but that; whoever has joined shows its certificate.
 */
import type { TLSSocket } from 'node:tls'
import { HoldfastError } from '@holdfast/core'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import fastify, { LogController } from 'fastify'
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import type { HomeAuthority } from '../hosts/home-authority.ts'
import type { HostRegister } from '../hosts/register.ts'
import { identityIn } from '../pki/certificate.ts'
import type { RenewedCredentials } from '../pki/renewed-credentials.ts'
import { Throttle } from '../server/auth/throttle.ts'
import { answerError, answerNotFound } from '../server/errors.ts'
import type { Credentials } from './mutual-tls.ts'
import { refusalOf, secureTerms } from './mutual-tls.ts'

const whereabouts = {
  address: z.union([z.ipv4(), z.ipv6()]),
  port: z.int().min(1).max(65_535),
  deployments: z.string().startsWith('/').max(1000),
  /** For a certificate, PEM. */
  request: z.string().max(10_000),
}
const join = z.object({ host: z.string().max(40), secret: z.string().max(100), ...whereabouts })
/** Without a request it only says where it is. */
const renew = z.object({ ...whereabouts, request: whereabouts.request.optional() })

export type JoinAsked = z.infer<typeof join>
export type RenewAsked = z.infer<typeof renew>

export interface JoinAnswered {
  /** Null: none was asked for. */
  readonly certificate: string | null
  readonly authority: string
  /** Where to come back to. */
  readonly doors: readonly string[]
}

export interface DoorOptions {
  readonly authority: HomeAuthority
  readonly register: HostRegister
  readonly credentials: RenewedCredentials<Credentials>
  readonly doors: () => readonly string[]
  readonly clock: Clock
  readonly log: FastifyBaseLogger
}

export function buildDoor({ authority, register, credentials, doors, clock, log }: DoorOptions): FastifyInstance {
  const app = fastify({
    https: { ...secureTerms(credentials.now), rejectUnauthorized: false },
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 64 * 1024,
    requestTimeout: 10_000,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
  }) as unknown as FastifyInstance
  const throttle = new Throttle(clock)
  credentials.onReplaced((fresh) => {
    const server = app.server as unknown as { setSecureContext(terms: object): void }
    server.setSecureContext(secureTerms(fresh))
  })
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(answerNotFound)

  /** Public: whoever asks compares its fingerprint with that in his token. */
  app.get('/v1/authority', async () => ({ authority: authority.certificate }))

  app.post('/v1/join', async ({ body, ip }): Promise<JoinAnswered> => {
    const { host, secret, request, ...where } = read(join, body)
    const waitMs = throttle.enter(ip, host)
    if (waitMs > 0) {
      const retryAfterS = Math.ceil(waitMs / 1000)
      throw new HoldfastError('AUTH_THROTTLED', `too many wrong tokens: try again in ${retryAfterS} s`, { retryAfterS })
    }
    // Before its token is used up: a request that is none costs nobody another token.
    const certificate = await authority.issue(request, { role: 'host', name: host }, [where.address])
    await register.enrol(host, secret, where)
    throttle.forgive(ip, host)
    log.info({ host, address: where.address }, 'a host has joined')
    return { certificate, authority: authority.certificate, doors: doors() }
  })

  app.post('/v1/renew', async ({ body, socket }): Promise<JoinAnswered> => {
    const tls = socket as TLSSocket
    const names = tls.authorized ? tls.getPeerX509Certificate()?.subjectAltName : undefined
    const refusal = refusalOf(names, 'host')
    if (refusal !== undefined) throw refusal
    const name = identityIn(names)?.name ?? ''
    const { request, ...where } = read(renew, body)
    await register.found(name, where)
    const isAsked = request !== undefined
    const certificate = isAsked ? await authority.issue(request, { role: 'host', name }, [where.address]) : null
    return { certificate, authority: authority.certificate, doors: doors() }
  })
  return app
}

function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new HoldfastError('USAGE', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not understood'}`)
}
