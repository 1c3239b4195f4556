import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { nodePaths } from '@holdfast/core'
import { isRunning } from '../../proc.ts'
import { diskBelow, diskHierarchy, groupPath, limitOf, removeGroup } from './cgroup.ts'
import type { Injury } from './injury.ts'

/** As slow as a disk that is about to fail. */
const bytesPerSecond = 64 * 1024

/** The engine is put into a group whose writes to its disk are throttled, and back into its own. */
export const slowDisk: Injury = {
  inject: async ({ order, scene }) => {
    const hierarchy = diskHierarchy()
    if ('trouble' in hierarchy) throw new Error(hierarchy.trouble)
    const group = groupPath(hierarchy, order.id)
    mkdirSync(group)
    for (const target of scene.targets) {
      const { data } = nodePaths(target.nodeDir)
      const disk = diskBelow(data)
      if (disk === null) throw new Error(`${data} is on no disk that could be throttled`)
      const limit = limitOf(hierarchy, disk, bytesPerSecond)
      writeFileSync(join(group, limit.file), limit.text)
      if (!isRunning(target)) throw new Error(`the process of ${target.id} has just ended by itself`)
      writeFileSync(join(group, 'cgroup.procs'), String(target.pid))
    }
  },
  heal: async ({ order, scene }) => {
    const hierarchy = diskHierarchy()
    if ('trouble' in hierarchy) return
    const group = groupPath(hierarchy, order.id)
    if (!existsSync(group)) return
    const former = join(hierarchy.root, scene.targets[0]?.cgroup ?? '/')
    // With the children that it has forked meanwhile, to rewrite its files above all.
    for (const pid of readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) move(pid, former)
    removeGroup(group)
  },
}

function move(pid: string, group: string): void {
  try {
    writeFileSync(join(group, 'cgroup.procs'), pid)
  } catch (error) {
    // It has just ended, and so left its group by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
