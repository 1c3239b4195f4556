import type { Grant, Role } from '@holdfast/core'
import { HoldfastError, mayAs, roleOn, visibleTo } from '@holdfast/core'
import type { FastifyRequest } from 'fastify'
import type { Access as AccessStore, User } from '../store/access.ts'
import type { Access } from './access.ts'
import { sessionIdOf } from './auth/cookie.ts'
import { sameSecret } from './auth/secret.ts'
import type { Sessions } from './auth/sessions.ts'
import { findToken } from './auth/tokens.ts'
import { stampOf } from './auth/users.ts'
import { isOverTls } from './over-tls.ts'

/** Who asks. `alive` is asked again by long streams: a session may end, and a token be revoked, while they run. */
export type Caller =
  | { readonly kind: 'nobody' }
  | (Known & { readonly kind: 'command line' })
  | (Known & { readonly kind: 'user'; readonly id: string })
  | (Known & { readonly kind: 'token'; readonly scope: 'topology' | null })

interface Known {
  /** How events and operations call him. */
  readonly actor: string
  readonly grants: readonly Grant[]
  alive(): boolean
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

export interface Keys {
  readonly access: AccessStore
  readonly sessions: Sessions
  /** Of the command line. */
  readonly bearerToken: string
  /** Ms since 1970. */
  readonly wall: () => number
}

const everything: readonly Grant[] = [{ role: 'admin', deployment: null }]

export const bearerOf = (request: FastifyRequest): string | undefined =>
  /^Bearer ([\x21-\x7e]+)$/i.exec(request.headers.authorization ?? '')?.[1]

/** A request with an authorization header is judged by it alone: a wrong token does not fall back to a cookie. */
export function identify(request: FastifyRequest, keys: Keys): Caller {
  const overTls = isOverTls(request)
  if (request.headers.authorization !== undefined) return identifyProgram(bearerOf(request), keys, overTls)
  const { sessions } = keys
  const id = sessionIdOf(request.headers.cookie, overTls)
  const user = id === undefined ? undefined : userOf(id, keys)
  if (id === undefined || user === undefined) return { kind: 'nobody' }
  // An open page reconnects its streams by itself: only what a person does keeps a session from idling out.
  if (!wantsStream(request)) sessions.touch(id)
  return { kind: 'user', actor: user.name, grants: user.grants, id, alive: () => userOf(id, keys) !== undefined }
}

/** Whose session it is, as long as he is who he was when it began: with his password and his roles it ends. */
function userOf(id: string, { sessions, access }: Keys): User | undefined {
  const session = sessions.find(id)
  const user = session === undefined ? undefined : access.user(session.user)
  return user !== undefined && stampOf(user) === session?.stamp ? user : undefined
}

/** The command line's token lies in a file of this machine, and is taken from nowhere else. */
function identifyProgram(text: string | undefined, { access, bearerToken, wall }: Keys, overTls: boolean): Caller {
  if (text === undefined) return { kind: 'nobody' }
  if (!overTls && sameSecret(text, bearerToken)) {
    return { kind: 'command line', actor: 'cli', grants: everything, alive: () => true }
  }
  const token = findToken(access, text, wall())
  if (token === undefined) return { kind: 'nobody' }
  const { name, grants, scope, expiresAt } = token
  // Streams ask at each frame and each heartbeat, so a token that was revoked ends them within 15 s.
  const alive = () => access.token(token.id) !== undefined && wall() < expiresAt
  return { kind: 'token', actor: `token ${name}`, grants, scope, alive }
}

/** `deployment` null: none is named, so the role must hold on all. Throws AUTH_REQUIRED, AUTH_FORBIDDEN. */
export function refuseCaller(caller: Caller, access: Access, deployment: string | null): void {
  if (access === 'anyone') return
  if (caller.kind === 'nobody') throw new HoldfastError('AUTH_REQUIRED', 'sign in first')
  if (access === 'browser') {
    if (caller.kind !== 'user') throw forbidden('this is only for a signed-in browser')
    return
  }
  if (access === 'command line') {
    if (caller.kind !== 'command line') throw forbidden('this is only for the command line, on the machine itself')
    return
  }
  if (caller.kind === 'token' && caller.scope !== null && access !== 'feed') {
    throw forbidden('this token is for the topology feed and for nothing else')
  }
  if (access === 'some') {
    if (caller.grants.length === 0) throw forbidden(`${caller.actor} has no role on anything yet`)
    return
  }
  if (access === 'admin program' && caller.kind === 'user') {
    throw forbidden("this is only for the command line and for an administrator's token, not for a browser")
  }
  refuseRole(caller, access === 'feed' ? 'viewer' : access === 'admin program' ? 'admin' : access, deployment)
}

/** Says what for, where it is not the route as such that takes the role. */
export function refuseRole(caller: Caller, needed: Role, deployment: string | null, what?: string): void {
  const held = caller.kind === 'nobody' ? null : roleOn(caller.grants, deployment)
  if (mayAs(held, needed)) return
  // The same for a deployment that does not exist: whoever may not see it does not learn whether it does.
  const place = deployment === null ? 'on all deployments' : `on ${deployment.slice(0, 80)}`
  const has = held === null ? 'has no role there' : `is ${held} there`
  throw forbidden(`${what ?? 'this'} takes the role ${needed} ${place}; ${actorOf(caller)} ${has}`)
}

/** Which deployments he sees; null: all. */
export const seenBy = (caller: Caller): readonly string[] | null =>
  caller.kind === 'nobody' ? [] : visibleTo(caller.grants)

export const sees = (caller: Caller, deployment: string): boolean => {
  const visible = seenBy(caller)
  return visible === null || visible.includes(deployment)
}

export const actorOf = (caller: Caller): string => (caller.kind === 'nobody' ? 'nobody' : caller.actor)

const forbidden = (message: string): HoldfastError => new HoldfastError('AUTH_FORBIDDEN', message)

const wantsStream = (request: FastifyRequest): boolean => request.headers.accept?.includes('text/event-stream') === true
