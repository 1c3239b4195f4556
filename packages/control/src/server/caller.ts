import { HoldfastError } from '@holdfast/core'
import type { FastifyRequest } from 'fastify'
import type { Access } from './access.ts'
import { sessionIdOf } from './auth/cookie.ts'
import { sameSecret } from './auth/secret.ts'
import type { Sessions } from './auth/sessions.ts'

/** Who asks. `alive` is asked again by long streams: a session may end while they run. */
export type Caller =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'bearer'; readonly actor: string; alive(): boolean }
  | { readonly kind: 'session'; readonly actor: string; readonly id: string; alive(): boolean }

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

export const bearerOf = (request: FastifyRequest): string | undefined =>
  /^Bearer ([\x21-\x7e]+)$/i.exec(request.headers.authorization ?? '')?.[1]

/** A request with an authorization header is judged by it alone: a wrong token does not fall back to a cookie. */
export function identify(request: FastifyRequest, sessions: Sessions, bearerToken: string): Caller {
  if (request.headers.authorization !== undefined) {
    const token = bearerOf(request)
    if (token === undefined || !sameSecret(token, bearerToken)) return { kind: 'nobody' }
    return { kind: 'bearer', actor: 'cli', alive: () => true }
  }
  const id = sessionIdOf(request.headers.cookie)
  const session = id === undefined ? undefined : sessions.find(id)
  if (id === undefined || session === undefined) return { kind: 'nobody' }
  // An open page reconnects its streams by itself: only what a person does keeps a session from idling out.
  if (!wantsStream(request)) sessions.touch(id)
  return { kind: 'session', actor: session.user, id, alive: () => sessions.find(id) !== undefined }
}

export function refuseCaller(caller: Caller, access: Access): void {
  if (access === 'anyone') return
  if (caller.kind === 'nobody') throw new HoldfastError('AUTH_REQUIRED', 'sign in first')
  if (access !== 'either' && access !== caller.kind) {
    const who = access === 'bearer' ? "the command line's token" : 'a signed-in browser'
    throw new HoldfastError('AUTH_FORBIDDEN', `this is only for ${who}`)
  }
}

export const actorOf = (caller: Caller): string => (caller.kind === 'nobody' ? 'nobody' : caller.actor)

const wantsStream = (request: FastifyRequest): boolean => request.headers.accept?.includes('text/event-stream') === true
