import { HoldfastError, type Status } from '@holdfast/core'
import type { FastifyPluginAsync } from 'fastify'
import { flag, oneOf, parseFields, text } from '../body.ts'
import { actorOf, sees } from '../caller.ts'
import type { Platform } from '../platform.ts'

export interface ByName {
  Params: { name: string }
}

/** What there is, how it is, and whether it should run. */
export const deploymentRoutes: FastifyPluginAsync<{ platform: Platform }> = async (app, { platform }) => {
  app.get('/deployments', async ({ caller }) => {
    const names = platform.names().filter((name) => sees(caller, name))
    const seen = names.map((name) => ({ name, status: platform.status(name) }))
    return {
      deployments: seen.flatMap(({ status }) => (status === undefined ? [] : [status])),
      notSeenYet: seen.filter(({ status }) => status === undefined).map(({ name }) => name),
      adopted: names.filter((name) => platform.isAdopted(name)),
    }
  })

  app.get<ByName>('/deployments/:name', async ({ params }) => statusOf(platform, params.name))

  app.get<ByName>('/deployments/:name/autoscale', async ({ params }) => {
    refuseUnknown(platform, params.name)
    return platform.autoscale(params.name)
  })

  app.post<ByName>('/deployments/:name/wanted', async (request, reply) => {
    const { name } = request.params
    refuseUnknown(platform, name)
    const fields = parseFields(request.body, ['wanted', 'purge', 'acceptDataLoss'])
    const wanted = oneOf(fields, 'wanted', ['up', 'down'])
    const options = { purge: flag(fields, 'purge'), acceptDataLoss: flag(fields, 'acceptDataLoss') }
    await platform.setWanted(name, wanted, options, actorOf(request.caller))
    return reply.code(202).send({ name, wanted })
  })

  app.get<ByName>('/deployments/:name/credentials', async ({ params, query }) => {
    const fields = parseFields(query, ['user'])
    const user = fields['user'] === undefined ? undefined : text(fields, 'user', 80)
    const credentials = platform.credentials(params.name, user)
    if (credentials === undefined) throw notFound(params.name)
    const { password, authority } = credentials
    return { user: credentials.user, password, ...(authority == null ? {} : { authority }) }
  })
}

function statusOf(platform: Platform, name: string): Status {
  refuseUnknown(platform, name)
  const status = platform.status(name)
  if (status !== undefined) return status
  throw new HoldfastError('UNREACHABLE_ENGINE', `nobody has looked at ${name} yet: try again in a second`, { name })
}

export function refuseUnknown(platform: Platform, name: string): void {
  if (!platform.names().includes(name)) throw notFound(name)
}

const notFound = (name: string): HoldfastError =>
  new HoldfastError('NOT_FOUND', `there is no deployment ${name.slice(0, 80)}`, { name: name.slice(0, 80) })
