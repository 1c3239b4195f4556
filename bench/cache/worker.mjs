// @ts-check
/** The process of one library: opens it, and does the tasks that the benchmark asks for. */
import { tasks, world } from './tasks.mjs'

/** @type {Record<string, () => Promise<{ open: import('./subject.mjs').Open }>>} */
const subjects = {
  holdfast: () => import('./subjects/holdfast.mjs'),
  bentocache: () => import('./subjects/bentocache.mjs'),
  cacheable: () => import('./subjects/cacheable.mjs'),
  'cache-manager': () => import('./subjects/cache-manager.mjs'),
  'async-cache-dedupe': () => import('./subjects/async-cache-dedupe.mjs'),
  'node-redis': () => import('./subjects/node-redis.mjs'),
  ioredis: () => import('./subjects/ioredis.mjs'),
  'lru-cache': () => import('./subjects/lru-cache.mjs'),
}

process.on('unhandledRejection', () => world.unhandled++)

/** @type {Record<string, (input: any) => unknown>} */
const all = {
  open: async (/** @type {import('./subject.mjs').OpenOptions} */ options) => {
    const [, , name = ''] = process.argv
    const subject = await subjects[name]?.()
    if (subject === undefined) throw new Error(`there is no subject ${name}`)
    world.cache = await subject.open(options)
  },
  ...tasks,
}

process.on('message', (/** @type {{ id: number, task: string, input: object }} */ { id, task, input }) => {
  Promise.resolve()
    .then(() => all[task]?.(input))
    .then(
      (answer) => process.send?.({ id, answer: answer ?? null }),
      (error) => process.send?.({ id, error: error instanceof Error ? error.message : String(error) }),
    )
})
process.on('disconnect', () => process.exit())
