import { defaultClientConditions, defineConfig, type Plugin } from 'vite'

/**
 * Core builds its schemas as it is loaded, and the page uses only its types, slots and formats. So zod, twice the size
 * of all the rest, is replaced by something that answers itself to everything.
 */
const withoutSchemas: Plugin = {
  name: 'without-schemas',
  enforce: 'pre',
  resolveId: (id) => (id === 'zod' ? '\0no-schemas' : undefined),
  load: (id) =>
    id === '\0no-schemas' ? 'export const z = new Proxy(() => z, { get: () => z, apply: () => z })' : undefined,
}

export default defineConfig({
  plugins: [withoutSchemas],
  resolve: { conditions: ['source', ...defaultClientConditions] },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../control/public',
    emptyOutDir: true,
    target: 'es2022',
    // The content security policy forbids what vite would inline, and one small file needs no preloading.
    assetsInlineLimit: 0,
    modulePreload: false,
    rolldownOptions: { treeshake: { moduleSideEffects: [{ test: /\/core\/src\//, sideEffects: false }] } },
  },
})
