/**
 * Throttled writes, by the kernel's control groups. Version 1 has a hierarchy of its own for disks (blkio); version 2 has
 * one for everything, where disks (io) must be switched on for the groups below the root.
 */
import { accessSync, constants, readFileSync, rmdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

interface Hierarchy {
  readonly version: 1 | 2
  readonly root: string
}

/** What a group is told to slow one disk down, in bytes a second. */
export interface Limit {
  readonly file: string
  readonly text: string
}

/** Where disks can be throttled on this machine, or why nowhere. */
export function diskHierarchy(): Hierarchy | { readonly trouble: string } {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
  const blkio = mounts.find(([, , type, options]) => type === 'cgroup' && options?.split(',').includes('blkio'))
  const unified = mounts.find(([, , type]) => type === 'cgroup2')
  const [found, version] = blkio === undefined ? ([unified, 2] as const) : ([blkio, 1] as const)
  const root = found?.[1]
  if (root === undefined) return { trouble: 'no control groups for disks are mounted on this machine' }
  try {
    accessSync(root, constants.W_OK)
  } catch {
    return {
      trouble: `${root} is not writable: only root of the machine itself, and not of a container, may throttle a disk`,
    }
  }
  if (version === 2 && !readFileSync(join(root, 'cgroup.subtree_control'), 'utf8').split(/\s/).includes('io')) {
    return { trouble: `disks are not switched on in ${root}/cgroup.subtree_control` }
  }
  return { version, root }
}

/** The group that throttles: one of its own, so that its limit hurts nobody else. */
export const groupPath = ({ root }: Hierarchy, id: string): string => join(root, `holdfast-${id}`)

export function limitOf({ version }: Hierarchy, disk: string, bytesPerSecond: number): Limit {
  return version === 1
    ? { file: 'blkio.throttle.write_bps_device', text: `${disk} ${bytesPerSecond}` }
    : { file: 'io.max', text: `${disk} wbps=${bytesPerSecond}` }
}

/** The group that a process is in now, in the hierarchy for disks; null where nobody knows. */
export function cgroupOf(pid: number): string | null {
  try {
    const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(':'))
    const line =
      lines.find(([, controllers]) => controllers?.split(',').includes('blkio')) ?? lines.find(([id]) => id === '0')
    return line?.slice(2).join(':') ?? null
  } catch {
    return null
  }
}

/** A group that is gone already is what was wanted. */
export function removeGroup(path: string): void {
  try {
    rmdirSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/**
 * The whole disk below a directory, as the kernel numbers it; null where there is none, as in memory or in an overlay. A
 * partition cannot be throttled, the disk that it is on can.
 */
export function diskBelow(directory: string): string | null {
  const { dev } = statSync(directory, { bigint: true })
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn)
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn)
  const device = `/sys/dev/block/${major}:${minor}`
  return readText(`${device}/partition`) === null ? readText(`${device}/dev`) : readText(`${device}/../dev`)
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return null
  }
}
