import type { FastifyPluginAsync } from 'fastify'
import type { Fields } from '../body.ts'
import { parseFields, text, usage } from '../body.ts'
import { actorOf } from '../caller.ts'
import type { Platform } from '../platform.ts'
import type { ByName } from './deployments.ts'
import { refuseUnknown } from './deployments.ts'

const nameMax = 80
const pathMax = 4096

/** What there is of backups, taking one, and restoring from one. */
export const backupRoutes: FastifyPluginAsync<{ platform: Platform }> = async (app, { platform }) => {
  const { backups } = platform

  app.get<ByName>('/deployments/:name/backups', async ({ params }) => {
    refuseUnknown(platform, params.name)
    return backups.list(params.name)
  })

  app.post<ByName>('/deployments/:name/backups', async ({ params, body, caller }, reply) => {
    refuseUnknown(platform, params.name)
    const fields = parseFields(body, ['id', 'to'])
    const wish = { id: idOf(fields), to: optional(fields, 'to', pathMax) }
    return reply.code(202).send(await backups.ask(params.name, wish, actorOf(caller)))
  })

  app.post('/backups/read', async ({ body }) => backups.read(text(parseFields(body, ['from']), 'from', pathMax)))

  app.post<ByName>('/deployments/:name/restore/preview', async ({ params, body }) => {
    refuseUnknown(platform, params.name)
    return backups.previewRestore(params.name, text(parseFields(body, ['from']), 'from', pathMax))
  })

  app.post<ByName>('/deployments/:name/restore', async ({ params, body, caller }, reply) => {
    refuseUnknown(platform, params.name)
    const fields = parseFields(body, ['id', 'from', 'replace'])
    const replace = optional(fields, 'replace', nameMax)
    const wish = { id: idOf(fields), from: text(fields, 'from', pathMax), replace }
    return reply.code(202).send(await backups.restore(params.name, wish, actorOf(caller)))
  })
}

function idOf(fields: Fields): string {
  const id = text(fields, 'id', nameMax)
  if (/^[A-Za-z0-9][\w-]*$/.test(id)) return id
  throw usage('id: letters, digits, _ and -, beginning with a letter or a digit, chosen by you')
}

const optional = (fields: Fields, key: string, lengthMax: number): string | null =>
  (fields[key] ?? null) === null ? null : text(fields, key, lengthMax)
