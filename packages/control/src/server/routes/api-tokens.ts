import { HoldfastError, roles } from '@holdfast/core'
import type { FastifyPluginAsync } from 'fastify'
import type { Clock } from '../../clock.ts'
import type { Access, ApiToken } from '../../store/access.ts'
import { newToken } from '../auth/tokens.ts'
import type { Fields } from '../body.ts'
import { oneOf, parseFields, text, usage } from '../body.ts'
import { actorOf } from '../caller.ts'
import { deploymentOf } from './users.ts'

interface Options {
  readonly access: Access
  readonly clock: Clock
}

interface ByToken {
  Params: { token: string }
}

const tokensMax = 500
const minuteMs = 60_000
const yearMs = 366 * 86_400_000

/** What programs show instead of a password. A token is shown once; it ends by itself. */
export const apiTokenRoutes: FastifyPluginAsync<Options> = async (app, { access, clock }) => {
  app.get('/api-tokens', async () => ({ tokens: access.tokens().map(shown) }))

  app.post('/api-tokens', async ({ body, caller, change }, reply) => {
    const fields = parseFields(body, ['name', 'role', 'deployment', 'scope', 'expiresInMs'])
    const now = Math.round(clock.wall())
    await makeRoom(now)
    const { text: token, id, hash } = newToken()
    const made: ApiToken = {
      ...wishOf(fields),
      id,
      hash,
      createdBy: actorOf(caller),
      createdAt: now,
      expiresAt: now + lifeOf(fields),
    }
    await access.addToken(made)
    Object.assign(change, { before: null, after: withoutHash(made) })
    return reply.code(201).send({ ...shown(made), token })
  })

  app.delete<ByToken>('/api-tokens/:token', async ({ params, change }) => {
    const id = params.token
    const token = access.token(id)
    if (token === undefined) {
      throw new HoldfastError('NOT_FOUND', `there is no token ${id.slice(0, 80)}: "holdfast api-token list" shows all`)
    }
    await access.removeToken(token)
    Object.assign(change, { before: withoutHash(token), after: null })
    return { id, revoked: true }
  })

  /** Tokens that ended stay in the list for a year, for whoever wonders why something does not work any more. */
  async function makeRoom(now: number): Promise<void> {
    for (const token of access.tokens()) if (token.expiresAt < now - yearMs) await access.removeToken(token)
    if (access.tokens().length >= tokensMax) throw usage(`${tokensMax} tokens are all there can be: revoke some first`)
  }

  const shown = (token: ApiToken) => ({ ...withoutHash(token), isExpired: clock.wall() >= token.expiresAt })
}

function wishOf(fields: Fields): Pick<ApiToken, 'name' | 'grants' | 'scope'> {
  const name = text(fields, 'name', 40)
  if (!/^[a-z][a-z0-9._-]*$/.test(name)) {
    throw usage('name: 1 to 40 of a-z, 0-9, dot, _ and -, beginning with a letter')
  }
  const scope = (fields['scope'] ?? null) === null ? null : oneOf(fields, 'scope', ['topology'])
  // The feed is for viewers; more would be of no use to such a token.
  const role = scope === null ? oneOf(fields, 'role', roles) : 'viewer'
  return { name, scope, grants: [{ role, deployment: deploymentOf(fields) }] }
}

function lifeOf(fields: Fields): number {
  const life = fields['expiresInMs']
  if (typeof life === 'number' && Number.isSafeInteger(life) && life >= minuteMs && life <= yearMs) return life
  throw usage('expiresInMs: how long it is good for, 1 minute to 366 days in ms')
}

const withoutHash = ({ id, name, grants, scope, createdBy, createdAt, expiresAt }: ApiToken) => ({
  id,
  name,
  grants,
  scope,
  createdBy,
  createdAt,
  expiresAt,
})
