import { HoldfastError } from '@holdfast/core'
import type { FastifyPluginAsync } from 'fastify'
import { flag, isObject, parseFields, revision, usage } from '../body.ts'
import { actorOf } from '../caller.ts'
import type { Platform } from '../platform.ts'
import type { ByName } from './deployments.ts'

/** What is wanted: read, preview, replace. A PUT of a name that does not exist creates it. */
export const specRoutes: FastifyPluginAsync<{ platform: Platform }> = async (app, { platform }) => {
  app.get<ByName>('/deployments/:name/spec', async ({ params: { name } }) => {
    const found = platform.spec(name)
    if (found !== undefined) return { spec: found.spec, revision: found.revision }
    throw new HoldfastError('NOT_FOUND', `there is no deployment ${name.slice(0, 80)}`)
  })

  app.put<ByName>('/deployments/:name/spec', async ({ body, params, caller }) => {
    const fields = parseFields(body, ['spec', 'baseRevision', 'acceptEviction'])
    if (!isObject(fields.spec)) throw usage('spec: the spec as an object')
    if (fields.spec.name !== params.name) {
      throw usage('the name in the spec is not the one in the address: a deployment cannot be renamed')
    }
    const terms = { acceptEviction: flag(fields, 'acceptEviction') }
    return platform.apply(fields.spec, revision(fields, 'baseRevision'), actorOf(caller), terms)
  })

  app.post('/plan', async ({ body }) => {
    const fields = parseFields(body, ['spec', 'acceptEviction'])
    if (!isObject(fields.spec)) throw usage('spec: the spec as an object')
    return platform.plan(fields.spec, { acceptEviction: flag(fields, 'acceptEviction') })
  })
}
