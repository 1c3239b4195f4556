import { join } from 'node:path'
import staticFiles from '@fastify/static'
import type { FastifyPluginAsync } from 'fastify'

/** The addresses a person may type or bookmark; each is the same page, which looks at its own address. */
const pages = ['/', '/login', '/d/:name', '/d/:name/incidents', '/demo']

/** The panel's files. What is under /assets carries its hash in its name and never changes. */
export const panelRoutes: FastifyPluginAsync<{ panelDir: string }> = async (app, { panelDir }) => {
  await app.register(staticFiles, {
    root: join(panelDir, 'assets'),
    prefix: '/assets/',
    index: false,
    immutable: true,
    maxAge: '365d',
  })
  for (const page of pages) {
    app.get(page, async (_request, reply) => {
      reply.header('cache-control', 'no-cache')
      return reply.sendFile('index.html', panelDir, { cacheControl: false })
    })
  }
}
