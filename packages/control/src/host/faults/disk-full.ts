import { existsSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { FaultCase } from './fault-file.ts'
import type { Injury } from './injury.ts'

const ballastOf = ({ order, scene }: FaultCase): string => join(scene.deploymentDir, `ballast-${order.id}`)

/** A file beside the nodes' directories that grows until nothing more can be written: first in large steps, then in small ones. */
export const diskFull: Injury = {
  inject: async (fault, over) => {
    const file = await open(ballastOf(fault), 'wx', 0o600)
    try {
      for (const size of [4 * 1024 ** 2, 64 * 1024, 4096, 1]) {
        const block = Buffer.alloc(size, 1)
        while (!over.aborted && (await isWritten(file.write(block)))) {
          // Until there is no room for one more of this size.
        }
      }
    } finally {
      await file.close()
    }
  },
  heal: async (fault) => {
    rmSync(ballastOf(fault), { force: true })
    if (existsSync(ballastOf(fault))) throw new Error(`${ballastOf(fault)} could not be deleted`)
  },
}

async function isWritten(writing: Promise<unknown>): Promise<boolean> {
  try {
    await writing
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT') return false
    throw error
  }
}
