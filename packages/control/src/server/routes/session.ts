import { HoldfastError } from '@holdfast/core'
import type { FastifyPluginAsync } from 'fastify'
import { expiredCookie, sessionCookie, sessionIdOf } from '../auth/cookie.ts'
import { verifyPassword } from '../auth/password.ts'
import { sameSecret } from '../auth/secret.ts'
import type { Sessions } from '../auth/sessions.ts'
import type { Throttle } from '../auth/throttle.ts'
import { parseFields, text } from '../body.ts'

interface Options {
  readonly sessions: Sessions
  readonly throttle: Throttle
  readonly adminName: string
  readonly adminHash: string
  /** Whether there is a demonstration to lead to. */
  readonly hasDemo: () => boolean
}

/** Signing in, asking who is signed in, signing out. */
export const sessionRoutes: FastifyPluginAsync<Options> = async (app, options) => {
  const { sessions, throttle, adminName, adminHash, hasDemo } = options

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
    // An unknown name costs the same hash as a known one and gets the same answer: nobody learns which names exist.
    const passwordIsRight = await verifyPassword(password, adminHash)
    if (!passwordIsRight || !sameSecret(user, adminName)) {
      // The name is not logged: people type passwords into that field.
      request.log.warn({ ip: request.ip }, 'sign-in failed')
      throw new HoldfastError('AUTH_REQUIRED', 'wrong name or password')
    }
    throttle.forgive(request.ip, user)

    // A new id at each sign-in: one that was planted in the browser before is worth nothing.
    const before = sessionIdOf(request.headers.cookie)
    if (before !== undefined) sessions.end(before)
    const id = sessions.start(adminName)
    request.log.info({ ip: request.ip }, 'signed in')
    reply.header('set-cookie', sessionCookie(id))
    return { user: adminName, endsInMs: sessions.find(id)?.endsInMs ?? 0, demo: hasDemo() }
  })

  app.get('/session', async ({ caller }) => {
    const session = caller.kind === 'session' ? sessions.find(caller.id) : undefined
    if (session === undefined) throw new HoldfastError('AUTH_REQUIRED', 'sign in first')
    return { ...session, demo: hasDemo() }
  })

  app.delete('/session', async ({ caller, log }, reply) => {
    if (caller.kind === 'session') sessions.end(caller.id)
    log.info('signed out')
    return reply.header('set-cookie', expiredCookie).code(204).send()
  })
}
