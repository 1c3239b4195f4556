import type { FastifyPluginAsync } from 'fastify'
import type { AuditLog } from '../../store/audit-log.ts'
import type { Fields } from '../body.ts'
import { wholeNumber } from '../body.ts'

/** Who did what. Reading only: nothing changes a record. */
export const auditRoutes: FastifyPluginAsync<{ audit: AuditLog }> = async (app, { audit }) => {
  app.get<{ Querystring: Fields }>('/audit', async ({ query }) => {
    const limit = wholeNumber(query, 'limit', { min: 1, max: 1000 }) ?? 100
    const before = wholeNumber(query, 'before', { min: 1, max: Number.MAX_SAFE_INTEGER })
    return { records: audit.latest({ limit, ...(before === undefined ? {} : { before }) }) }
  })

  app.get('/audit/verdict', async () => audit.verify())
}
