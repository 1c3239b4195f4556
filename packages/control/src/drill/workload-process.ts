/** The workload as a process of its own, so that nothing else of a drill can delay it. It ends with whoever started it. */
import type { DrillOperation } from '@holdfast/core'
import type { ToldByWorkload, ToldToWorkload } from './far-workload.ts'
import { Workload } from './workload.ts'

const tellEveryMs = 100

let workload: Workload | undefined
let wrote: DrillOperation[] = []

const tell = (told: ToldByWorkload): boolean | undefined => process.send?.(told)

function flush(): void {
  if (wrote.length > 0) tell({ kind: 'wrote', operations: wrote })
  wrote = []
}

const flushing = setInterval(flush, tellEveryMs)

process.on('message', (told: ToldToWorkload) => {
  if (told.kind === 'start') workload = new Workload(told.plan, (operation) => wrote.push(operation))
  else void end()
})
process.on('disconnect', () => process.exit())
// Ctrl-C goes to everybody in the terminal; the drill decides when writing ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

async function end(): Promise<void> {
  await workload?.stop()
  clearInterval(flushing)
  flush()
  tell({ kind: 'stopped' })
}
