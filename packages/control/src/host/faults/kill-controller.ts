import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { signalExactly } from '../../proc.ts'
import { isKept, spawnServe } from '../../serve-process.ts'
import { begins } from './begins.ts'
import type { Injury } from './injury.ts'
import { killAll } from './kill.ts'

/** SIGKILL to the controller, and right after it to the targets, if there are any: nobody heals. */
export const killController: Injury = {
  tellsFirst: true,
  inject: async ({ scene }) => {
    if (scene.controller === null || !signalExactly(scene.controller, 'SIGKILL')) {
      throw new Error('the controller has just ended by itself')
    }
    killAll(scene.targets)
  },
  heal: async ({ scene }) => {
    const isHome = existsSync(join(scene.home, 'version'))
    if (scene.controller === null || !isHome || isKept(scene.home)) return
    // Where somebody has taken its port meanwhile, any other is better than no controller.
    const trouble = await startAgain(scene.home, scene.controller.port)
    const troubleAnywhere = trouble === null ? null : await startAgain(scene.home, undefined)
    if (troubleAnywhere !== null) throw new Error(`a controller could not be started: ${troubleAnywhere}`)
  },
}

/** Starts one in the background; answers why none keeps the home, null where one does. */
const startAgain = (home: string, port: number | undefined): Promise<string | null> =>
  begins(spawnServe(home, port), () => isKept(home))
