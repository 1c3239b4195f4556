import type { Grant } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import type { FastifyPluginAsync } from 'fastify'
import type { Access } from '../../store/access.ts'
import { expiredCookie, sessionCookie, sessionIdOf } from '../auth/cookie.ts'
import type { Sessions } from '../auth/sessions.ts'
import type { Throttle } from '../auth/throttle.ts'
import { stampOf, verifyUser } from '../auth/users.ts'
import { parseFields, text } from '../body.ts'
import { isOverTls } from '../over-tls.ts'

interface Options {
  readonly sessions: Sessions
  readonly throttle: Throttle
  readonly access: Access
  /** Whether there is a demonstration to lead to. */
  readonly hasDemo: () => boolean
}

/** Signing in, asking who is signed in, signing out. */
export const sessionRoutes: FastifyPluginAsync<Options> = async (app, options) => {
  const { sessions, throttle, access, hasDemo } = options

  app.post('/session', async (request, reply) => {
    const fields = parseFields(request.body, ['user', 'password'])
    const user = text(fields, 'user', 128)
    const password = text(fields, 'password', 1024)

    const waitMs = throttle.enter(request.ip, user)
    if (waitMs > 0) {
      const retryAfterS = Math.ceil(waitMs / 1000)
      request.log.warn({ ip: request.ip, retryAfterS }, 'sign-in refused: too many wrong ones')
      throw new HoldfastError('AUTH_THROTTLED', `too many wrong sign-ins: try again in ${retryAfterS} s`, {
        retryAfterS,
      })
    }
    const found = await verifyUser(access, user, password)
    // The name is written down only where it is one of ours: people type passwords into that field.
    Object.assign(request.change, { before: null, after: { user: access.user(user)?.name ?? null } })
    if (found === undefined) {
      request.log.warn({ ip: request.ip }, 'sign-in failed')
      throw new HoldfastError('AUTH_REQUIRED', 'wrong name or password')
    }
    throttle.forgive(request.ip, user)

    // A new id at each sign-in: one that was planted in the browser before is worth nothing.
    const overTls = isOverTls(request)
    const before = sessionIdOf(request.headers.cookie, overTls)
    if (before !== undefined) sessions.end(before)
    const id = sessions.start(found.name, stampOf(found))
    request.log.info({ ip: request.ip }, 'signed in')
    reply.header('set-cookie', sessionCookie(id, overTls))
    return told(found, sessions.find(id)?.endsInMs ?? 0)
  })

  app.get('/session', async ({ caller }) => {
    const session = caller.kind === 'user' ? sessions.find(caller.id) : undefined
    const user = session === undefined ? undefined : access.user(session.user)
    if (session === undefined || user === undefined) throw new HoldfastError('AUTH_REQUIRED', 'sign in first')
    return told(user, session.endsInMs)
  })

  app.delete('/session', async (request, reply) => {
    const { caller, log } = request
    if (caller.kind === 'user') sessions.end(caller.id)
    log.info('signed out')
    return reply
      .header('set-cookie', expiredCookie(isOverTls(request)))
      .code(204)
      .send()
  })

  const told = ({ name, grants }: { name: string; grants: readonly Grant[] }, endsInMs: number) => ({
    user: name,
    grants,
    endsInMs,
    demo: hasDemo(),
  })
}
