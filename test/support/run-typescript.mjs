/**
 * Runs a TypeScript file of this repository as a process of its own, from its sources, as the tests see them: Node 20
 * does not read TypeScript by itself.
 */
import { fileURLToPath } from 'node:url'
import { createViteServer } from 'vitest/node'

const conditions = ['source']
const server = await createViteServer({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  configFile: false,
  appType: 'custom',
  logLevel: 'error',
  server: { middlewareMode: true, hmr: false, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
  resolve: { conditions },
  ssr: { resolve: { conditions } },
})
await server.ssrLoadModule(process.argv[2] ?? '')
