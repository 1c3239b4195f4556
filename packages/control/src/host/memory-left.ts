/**
 * How much memory an engine may still take before the kernel ends somebody: what the machine has left, or less where a
 * control group that the engine is in, or one above it, has a limit. File caches count as free: the kernel gives them up.
 */
import { join } from 'node:path'
import { type Group, type GroupFiles, groupsOf, readNumber, readText } from './control-groups.ts'

const realFiles: GroupFiles = { proc: '/proc', cgroups: '/sys/fs/cgroup' }

/** Null where this machine does not say. */
export function memoryLeft(pid: number | 'self', files: GroupFiles = realFiles): number | null {
  const limits = [availableOf(files), ...groupsOf(pid, 'memory', files).flatMap(leftInGroup)]
  const known = limits.filter((bytes) => bytes !== null)
  return known.length === 0 ? null : Math.max(0, Math.min(...known))
}

function availableOf({ proc }: GroupFiles): number | null {
  const kb = /^MemAvailable:\s+(\d+) kB/m.exec(readText(join(proc, 'meminfo')))?.[1]
  return kb === undefined ? null : Number(kb) * 1024
}

/** Nothing where the group has no limit; a limit of version 1 beyond the memory of any machine is none. */
function leftInGroup({ version, folder }: Group): number[] {
  const [limitFile, usedFile, cacheField] =
    version === 2
      ? (['memory.max', 'memory.current', 'inactive_file'] as const)
      : (['memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file'] as const)
  const limit = readNumber(join(folder, limitFile))
  const used = readNumber(join(folder, usedFile))
  if (Number.isNaN(limit) || Number.isNaN(used) || limit > 2 ** 60) return []
  const cache = new RegExp(`^${cacheField} (\\d+)$`, 'm').exec(readText(join(folder, 'memory.stat')))?.[1]
  return [limit - used + Number(cache ?? 0)]
}
