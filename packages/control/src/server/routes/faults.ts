import type { FaultWish } from '@holdfast/core'
import { faultNames } from '@holdfast/core'
import type { FastifyPluginAsync } from 'fastify'
import { oneOf, parseFields, usage } from '../body.ts'
import { actorOf } from '../caller.ts'
import type { Platform } from '../platform.ts'
import type { ByName } from './deployments.ts'
import { refuseUnknown } from './deployments.ts'

interface ById {
  Params: { name: string; id: string }
}

/** Faults on purpose: what one would do, injecting it, ending it before its time. */
export const faultRoutes: FastifyPluginAsync<{ platform: Platform }> = async (app, { platform }) => {
  app.get<ByName>('/deployments/:name/faults', async ({ params }) => {
    refuseUnknown(platform, params.name)
    return { faults: await platform.faults(params.name) }
  })

  app.post<ByName>('/deployments/:name/faults/preview', async ({ params, body }) => {
    refuseUnknown(platform, params.name)
    return platform.previewFault(params.name, wishOf(body))
  })

  app.post<ByName>('/deployments/:name/faults', async ({ params, body, caller }, reply) => {
    refuseUnknown(platform, params.name)
    return reply.code(201).send(await platform.injectFault(params.name, wishOf(body), actorOf(caller)))
  })

  app.post<ById>('/deployments/:name/faults/:id/heal', async ({ params, caller }) => {
    refuseUnknown(platform, params.name)
    return platform.healFault(params.name, params.id, actorOf(caller))
  })
}

function wishOf(body: unknown): FaultWish {
  const fields = parseFields(body, ['fault', 'forMs', 'node', 'onProduction', 'drill'])
  const fault = oneOf(fields, 'fault', faultNames)
  const forMs = fields['forMs'] ?? null
  if (forMs !== null && typeof forMs !== 'number') throw usage('forMs: milliseconds, or null')
  return { fault, forMs, node: name('node'), onProduction: name('onProduction'), drill: name('drill') }

  function name(key: string): string | null {
    const value = fields[key] ?? null
    if (value !== null && (typeof value !== 'string' || value.length > 80)) throw usage(`${key}: a name, or null`)
    return value
  }
}
