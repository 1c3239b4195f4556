import type { FastifyPluginAsync } from 'fastify'

/** That the process serves requests; says nothing about deployments, since anyone may ask. */
export const healthRoutes: FastifyPluginAsync = async (app) => {
  app.get('/healthz', async () => ({ ok: true }))
}
