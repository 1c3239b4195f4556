import { isRunning, readProcess, signalExactly } from '../../proc.ts'
import type { Injury } from './injury.ts'

/** SIGSTOP: the process is there, its port accepts, and nothing is answered. */
export const freeze: Injury = {
  inject: async ({ scene }) => {
    for (const target of scene.targets) {
      if (!signalExactly(target, 'SIGSTOP')) throw new Error(`the process of ${target.id} has just ended by itself`)
    }
  },
  heal: async ({ scene }) => {
    // Who was killed meanwhile, by a fence above all, has nothing to wake up to.
    for (const target of scene.targets) signalExactly(target, 'SIGCONT')
    const asleep = scene.targets.find((target) => isRunning(target) && readProcess(target.pid)?.state === 'T')
    if (asleep !== undefined) throw new Error(`${asleep.id} (pid ${asleep.pid}) is still stopped`)
  },
}
