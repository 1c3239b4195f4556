import type { FastifyPluginAsync } from 'fastify'
import type { HostPlatform } from '../../hosts/desk.ts'
import { parseFields, text, usage } from '../body.ts'
import { actorOf } from '../caller.ts'

/** The machines that have joined, and how more do. */
export const hostRoutes: FastifyPluginAsync<{ hosts: HostPlatform }> = async (app, { hosts }) => {
  app.get('/hosts', async () => ({ hosts: hosts.list() }))

  app.get<{ Params: { host: string } }>('/hosts/:host', async ({ params }) => hosts.look(params.host))

  app.post('/hosts/tokens', async ({ body }) => {
    const fields = parseFields(body, ['host', 'zone', 'region'])
    const name = text(fields, 'host', 40)
    if (!/^[a-z0-9][a-z0-9-]*$/.test(name) || name === 'local') {
      throw usage('host: 1 to 40 of a-z, 0-9 and -, and not "local", which is the machine of the controller itself')
    }
    const zone = fields['zone'] === undefined ? '' : text(fields, 'zone', 80)
    const region = fields['region'] === undefined ? '' : text(fields, 'region', 80)
    return { token: await hosts.invite({ name, zone, region }) }
  })

  app.get<{ Params: { host: string } }>('/hosts/:host/removal', async ({ params }) => hosts.previewRemoval(params.host))

  app.post<{ Params: { host: string } }>('/hosts/:host/removal', async ({ params, caller }, reply) => {
    await hosts.empty(params.host, actorOf(caller))
    return reply.code(202).send({ name: params.host })
  })

  app.delete<{ Params: { host: string } }>('/hosts/:host', async ({ params }) => {
    await hosts.remove(params.host)
    return { name: params.host }
  })
}
