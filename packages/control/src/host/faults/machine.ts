import { statfsSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { MachineSeen, Precondition } from '@holdfast/core'
import { formatBytes, nodePaths } from '@holdfast/core'
import type { ProcessId } from '../../proc.ts'
import { isRunning } from '../../proc.ts'
import { diskBelow, diskHierarchy } from './cgroup.ts'
import { nft } from './nft.ts'

/** What is filled within a drill; more would take minutes. */
const fillBytesMax = 20 * 1024 ** 3

/** What this machine allows to be done to a deployment. Looks, and changes nothing. */
export function lookAtMachine(nodeDirs: readonly string[], controller: ProcessId | null): MachineSeen {
  const dataDirs = nodeDirs.map((dir) => nodePaths(dir).data)
  return {
    disk: lookAtFileSystem(dataDirs),
    throttle: lookAtThrottle(dataDirs),
    controller: lookAtController(controller),
  }
}

function lookAtFileSystem(dataDirs: readonly string[]): Precondition {
  const [first] = dataDirs
  const devices = new Set(dataDirs.map(deviceOf))
  if (first === undefined || devices.has(null)) return no('no data directory is there yet: wait until the nodes run')
  if (devices.size > 1) return no('the nodes lie on several file systems: only one can be filled')
  const shared = ['/', tmpdir()].find((path) => devices.has(deviceOf(path)))
  if (shared !== undefined) {
    return no(
      `${first} is on the file system of ${shared}, and filling it would hurt the machine: give the home one of its own`,
    )
  }
  const { bavail, bsize } = statfsSync(first)
  const free = bavail * bsize
  if (free > fillBytesMax)
    return no(`${formatBytes(free)} are free below ${first}: up to ${formatBytes(fillBytesMax)} are filled`)
  return { met: true, because: `${first} is on a file system of its own, with ${formatBytes(free)} free` }
}

function lookAtThrottle(dataDirs: readonly string[]): Precondition {
  if (process.getuid?.() !== 0) return no('only root may throttle a disk')
  const hierarchy = diskHierarchy()
  if ('trouble' in hierarchy) return no(hierarchy.trouble)
  const lost = dataDirs.find((dir) => deviceOf(dir) === null || diskBelow(dir) === null)
  if (lost !== undefined) return no(`${lost} is on no disk that could be throttled`)
  return { met: true, because: `the disk below can be throttled in ${hierarchy.root}` }
}

function lookAtController(controller: ProcessId | null): Precondition {
  if (controller === null || !isRunning(controller))
    return no('no controller of this home runs as a process: start one with "holdfast serve"')
  return {
    met: true,
    because: `the controller is process ${controller.pid}; the one that follows it runs in the background`,
  }
}

/** Whether the network of this machine can be made to lose what is sent to these addresses of it. */
export async function lookAtCut(addresses: readonly string[]): Promise<Precondition> {
  const loopback = addresses.find((address) => address.startsWith('127.') || address === '::1')
  if (loopback !== undefined) return no(`${loopback} is on no network that could be cut`)
  if (process.getuid?.() !== 0) return no('only root may drop packets: the agent runs as another user')
  return nft('list tables').then(
    () => ({ met: true, because: 'packets can be dropped by nft' }),
    (error: unknown) => no(`nft does not work: ${error instanceof Error ? error.message : String(error)}`),
  )
}

const no = (because: string): Precondition => ({ met: false, because })

const deviceOf = (path: string): number | null => statSync(path, { throwIfNoEntry: false })?.dev ?? null
