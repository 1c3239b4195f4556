import type { FastifyPluginAsync } from 'fastify'
import type { Clock } from '../../clock.ts'
import { type Fields, usage, wholeNumber } from '../body.ts'
import type { Platform } from '../platform.ts'
import type { ByName } from './deployments.ts'
import { refuseUnknown } from './deployments.ts'

interface Options {
  readonly platform: Platform
  readonly clock: Clock
}

/** Thirty days: what a review looks back on where it does not say. */
const periodMs = 30 * 86_400_000

/** What kept applications from writing, and for how long. */
export const ledgerRoutes: FastifyPluginAsync<Options> = async (app, { platform, clock }) => {
  app.get<ByName & { Querystring: Fields }>('/deployments/:name/incidents', async ({ params, query }) => {
    refuseUnknown(platform, params.name)
    const now = Math.round(clock.wall())
    const since = wholeNumber(query, 'since', { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? now - periodMs
    if (since > now) throw usage('since: a time that has been, in ms since 1970')
    return platform.ledger(params.name, since)
  })
}
