import { defineConfig } from 'vitest/config'

/** What needs root and a machine that lets itself be hurt: file systems of its own above all. */
export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    name: 'chaos',
    include: ['test/chaos/**/*.test.ts'],
    globalSetup: ['test/support/fetch-programs.ts', 'test/support/watch-processes.ts'],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
