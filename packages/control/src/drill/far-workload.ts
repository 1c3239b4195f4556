import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { DrillOperation } from '@holdfast/core'
import type { WorkloadPlan } from './workload.ts'

export type ToldToWorkload = { readonly kind: 'start'; readonly plan: WorkloadPlan } | { readonly kind: 'stop' }

export type ToldByWorkload =
  | { readonly kind: 'wrote'; readonly operations: readonly DrillOperation[] }
  | { readonly kind: 'stopped' }

/** A workload that runs, wherever it does. */
export interface RunningWorkload {
  /** Ends it; answers what is missing in the record, null where nothing is. */
  stop(): Promise<string | null>
}

/** More than any drill's pace makes; what comes after it is not recorded, and said. */
const operationsMax = 600_000

const stopWithinMs = 10_000

/** Starts the writers as a process of their own. The password goes over its channel: arguments and environment are read by others. */
export function startFarWorkload(plan: WorkloadPlan, record: (operation: DrillOperation) => void): RunningWorkload {
  const child = fork(fileURLToPath(new URL('./workload-process.js', import.meta.url)), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
  })
  let recorded = 0
  let trouble: string | null = null
  const stopped = new Promise<void>((resolve) => {
    child.on('message', (told: ToldByWorkload) => {
      if (told.kind === 'stopped') return resolve()
      for (const operation of told.operations) {
        if (recorded++ < operationsMax) record(operation)
        else trouble = `only the first ${operationsMax} writes were recorded`
      }
    })
    child.once('exit', (code, signal) => {
      trouble ??= `the process that writes ended by itself (${signal ?? `code ${code}`})`
      resolve()
    })
    child.once('error', (error) => {
      trouble ??= `the process that writes did not start: ${error.message}`
      resolve()
    })
  })
  send(child, { kind: 'start', plan })
  return {
    async stop() {
      send(child, { kind: 'stop' })
      const isLate = await Promise.race([stopped.then(() => false), delay(stopWithinMs, true, { ref: false })])
      const found = isLate ? `the process that writes did not end within ${stopWithinMs / 1000} s` : trouble
      child.removeAllListeners('exit')
      child.kill('SIGKILL')
      return found
    },
  }
}

/** One that is gone is heard of by its exit. */
function send(child: ChildProcess, told: ToldToWorkload): void {
  child.send(told, () => {})
}
