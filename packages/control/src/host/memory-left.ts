/**
 * How much memory an engine may still take before the kernel ends somebody: what the machine has left, or less where a
 * control group that the engine is in, or one above it, has a limit. File caches count as free: the kernel gives them up.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface MemoryFiles {
  readonly proc: string
  readonly cgroups: string
}

const realFiles: MemoryFiles = { proc: '/proc', cgroups: '/sys/fs/cgroup' }

/** Null where this machine does not say. */
export function memoryLeft(pid: number, files: MemoryFiles = realFiles): number | null {
  const limits = [availableOf(files), ...groupsOf(pid, files).flatMap(leftInGroup)]
  const known = limits.filter((bytes) => bytes !== null)
  return known.length === 0 ? null : Math.max(0, Math.min(...known))
}

function availableOf({ proc }: MemoryFiles): number | null {
  const kb = /^MemAvailable:\s+(\d+) kB/m.exec(readText(join(proc, 'meminfo')))?.[1]
  return kb === undefined ? null : Number(kb) * 1024
}

interface Group {
  readonly version: 1 | 2
  readonly folder: string
}

/** The groups that count the memory of a process, up to the root. `0::/path` is version 2, `4:memory:/path` version 1. */
function groupsOf(pid: number, { proc, cgroups }: MemoryFiles): Group[] {
  return readText(join(proc, String(pid), 'cgroup'))
    .split('\n')
    .flatMap((line): Group[] => {
      const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
      if (path === undefined || controllers === undefined) return []
      if (controllers === '') return upwards(cgroups, path).map((folder) => ({ version: 2, folder }))
      if (!controllers.split(',').includes('memory')) return []
      return upwards(join(cgroups, 'memory'), path).map((folder) => ({ version: 1, folder }))
    })
}

function upwards(root: string, path: string): string[] {
  const folders = [join(root, path)]
  for (let at = path; at !== '/'; at = dirname(at)) folders.push(join(root, dirname(at)))
  return folders
}

/** Nothing where the group has no limit; a limit of version 1 beyond the memory of any machine is none. */
function leftInGroup({ version, folder }: Group): number[] {
  const [limitFile, usedFile, cacheField] =
    version === 2
      ? (['memory.max', 'memory.current', 'inactive_file'] as const)
      : (['memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file'] as const)
  const limit = Number(readText(join(folder, limitFile)).trim() || Number.NaN)
  const used = Number(readText(join(folder, usedFile)).trim() || Number.NaN)
  if (Number.isNaN(limit) || Number.isNaN(used) || limit > 2 ** 60) return []
  const cache = new RegExp(`^${cacheField} (\\d+)$`, 'm').exec(readText(join(folder, 'memory.stat')))?.[1]
  return [limit - used + Number(cache ?? 0)]
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
