// @ts-check
/** The process of one library: opens it, and does the tasks that the benchmark asks for. */
import { tasks, world } from './tasks.mjs'

const { open } = /** @type {{ open: import('./subject.mjs').Open }} */ (
  await import(`./subjects/${process.argv[2]}.mjs`).catch((error) => ({ open: () => Promise.reject(error) }))
)

process.on('unhandledRejection', () => world.unhandled++)

/** @type {Record<string, (input: any) => unknown>} */
const all = {
  open: async (/** @type {import('./subject.mjs').OpenOptions} */ options) => {
    world.cache = await open(options)
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
