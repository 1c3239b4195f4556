import type { FastifyPluginAsync } from 'fastify'
import { parseFields, text } from '../body.ts'
import { actorOf } from '../caller.ts'
import type { Platform } from '../platform.ts'
import type { ByName } from './deployments.ts'

const urlMax = 4096
const wordMax = 512

/** Watching what somebody else runs, and watching it no more. */
export const adoptionRoutes: FastifyPluginAsync<{ platform: Platform }> = async (app, { platform }) => {
  app.post('/adoptions', async ({ body, caller }, reply) => {
    const fields = parseFields(body, ['url', 'name', 'user', 'password'])
    const optional = (key: 'name' | 'user' | 'password') =>
      (fields[key] ?? null) === null ? {} : { [key]: text(fields, key, wordMax) }
    const words = { ...optional('name'), ...optional('user'), ...optional('password') }
    const wish = { url: text(fields, 'url', urlMax), ...words, guarded: caller.kind !== 'command line' }
    return reply.code(201).send(await platform.adopt(wish, actorOf(caller)))
  })

  app.delete<ByName>('/adoptions/:name', async ({ params, caller }) => {
    await platform.forget(params.name, actorOf(caller))
    return { name: params.name, adopted: false }
  })
}
