import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import type { ProcessId } from '../proc.ts'
import { bootId, isRunning, readProcess } from '../proc.ts'
import { onDisk } from './disk-error.ts'
import type { Home } from './home.ts'

/** A drill that has a deployment to itself. It ends with its process, however that ends. */
export interface DrillLock extends ProcessId {
  readonly id: string
  readonly bootId: string
  /** Wall clock, ms since 1970. */
  readonly since: number
}

const pathOf = (home: Pick<Home, 'agent'>, deployment: string): string =>
  join(home.agent, 'drills', `${deployment}.json`)

/** Takes a deployment for a drill of this process. Throws REFUSED_DRILL where another drill has it. */
export function takeDrillLock(home: Pick<Home, 'agent'>, deployment: string, id: string): DrillLock {
  const path = pathOf(home, deployment)
  const startTime = readProcess(process.pid)?.startTime ?? 0
  const lock: DrillLock = { id, pid: process.pid, startTime, bootId: bootId(), since: Date.now() }
  return onDisk(path, () => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    if (readDrillLock(home, deployment) === undefined) rmSync(path, { force: true })
    try {
      writeFileSync(path, JSON.stringify(lock), { mode: 0o600, flag: 'wx' })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const held = readDrillLock(home, deployment)
      throw new HoldfastError(
        'REFUSED_DRILL',
        `drill ${held?.id ?? ''} (pid ${held?.pid ?? 'unknown'}) has ${deployment} to itself: wait until it is over, or end it`,
        { deployment, drill: held?.id, pid: held?.pid },
      )
    }
    return lock
  })
}

/** The drill that runs on a deployment; undefined: none, or its process is gone. */
export function readDrillLock(home: Pick<Home, 'agent'>, deployment: string): DrillLock | undefined {
  let lock: DrillLock
  try {
    lock = JSON.parse(readFileSync(pathOf(home, deployment), 'utf8')) as DrillLock
  } catch {
    return undefined // none, or one that was cut off while it was written: nobody holds it
  }
  return lock.bootId === bootId() && isRunning(lock) ? lock : undefined
}

/** Gives it back, if it is still this drill's. */
export function releaseDrillLock(home: Pick<Home, 'agent'>, deployment: string, id: string): void {
  if (readDrillLock(home, deployment)?.id === id) rmSync(pathOf(home, deployment), { force: true })
}
