import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    projects: [
      {
        extends: true,
        // Nothing here keeps a state of its own between files: one process for many of them takes half of the time.
        test: { name: 'rules', include: ['packages/*/test/**/*.test.ts'], isolate: false, testTimeout: 20_000 },
      },
      {
        extends: true,
        // Real engines share two cores: the files run one after another.
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/support/fetch-programs.ts', 'test/support/watch-processes.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
