import type { HealthQuestion, LagLimit } from '@holdfast/core'
import { HoldfastError, healthQuestions, judgeHealth, parseLagLimit } from '@holdfast/core'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { Clock } from '../../clock.ts'
import { oneOf, parseFields, usage } from '../body.ts'
import type { Platform } from '../platform.ts'

interface Asked {
  Params: { name: string; node: string; question: string }
  Querystring: Record<string, unknown>
}

/** A route of a node's health: anybody may ask, from anywhere, by whatever name. */
export const isHealth = ({ routeOptions }: FastifyRequest): boolean => routeOptions.url === healthPath

const healthPath = '/health/:name/:node/:question'

/**
 * That the process serves requests, and, for load balancers, what each node is: 200 or 503, from the last look. Nobody
 * signs in for this, so it tells roles and ages and no more.
 */
export const healthRoutes: FastifyPluginAsync<{ platform: Platform; clock: Clock }> = async (
  app,
  { platform, clock },
) => {
  app.get('/healthz', async () => ({ ok: true }))

  app.route<Asked>({
    method: ['GET', 'HEAD', 'OPTIONS'],
    url: healthPath,
    handler: async ({ params, query }, reply) => {
      const question = oneOf({ ...params }, 'question', healthQuestions)
      const limit = lagLimit(query, question)
      const status = platform.status(params.name)
      const node = status?.nodes.find(({ id }) => id === params.node)
      reply.header('cache-control', 'no-store')
      if (status === undefined || node === undefined) throw unknownNode(platform, params)
      const agoMs = Math.round(clock.wall() - status.observedAt)
      const { healthy, because } = judgeHealth(status, node, question, { agoMs, limit })
      const { id, shard, role, state, lag, ackAgeSeconds } = node
      const paused = status.paused !== null
      return reply
        .code(healthy ? 200 : 503)
        .send({ healthy, because, node: id, shard, role, state, lag, ackAgeSeconds, agoMs, paused })
    },
  })
}

function lagLimit(query: Record<string, unknown>, question: HealthQuestion): LagLimit | null {
  const { lag } = parseFields({ ...query }, question === 'replica' || question === 'read-only' ? ['lag'] : [])
  if (lag === undefined) return null
  const limit = typeof lag === 'string' ? parseLagLimit(lag) : undefined
  if (limit === undefined) throw usage('lag: a time such as 1s, or a size such as 1mb')
  return limit
}

function unknownNode(platform: Platform, { name, node }: Asked['Params']): HoldfastError {
  const isLookedAt = !platform.names().includes(name) || platform.status(name) !== undefined
  if (isLookedAt) return new HoldfastError('NOT_FOUND', `there is no ${node.slice(0, 80)} of ${name.slice(0, 80)}`)
  return new HoldfastError('UNREACHABLE_ENGINE', `nobody has looked at ${name} yet: try again in a second`)
}
