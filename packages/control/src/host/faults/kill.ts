import { isRunning } from '../../proc.ts'
import type { FoundTarget } from './fault-file.ts'
import type { Injury } from './injury.ts'

/** SIGKILL to all targets in the same moment. What it broke is Holdfast's to mend. */
export const kill: Injury = {
  isOverAtOnce: true,
  inject: async ({ scene }) => killAll(scene.targets),
  heal: async () => {},
}

/** All are looked at before the first is hit: either all are hit, or none is. */
export function killAll(targets: readonly FoundTarget[]): void {
  const gone = targets.find((target) => !isRunning(target))
  if (gone !== undefined) throw new Error(`the process of ${gone.id} (pid ${gone.pid}) has just ended by itself`)
  for (const { pid } of targets) process.kill(pid, 'SIGKILL')
}
