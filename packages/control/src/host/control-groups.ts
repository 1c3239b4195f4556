/** The control groups of a process, up to the root. `0::/path` is version 2, `4:memory:/path` version 1. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface GroupFiles {
  readonly proc: string
  readonly cgroups: string
}

export interface Group {
  readonly version: 1 | 2
  readonly folder: string
}

export function groupsOf(pid: number | 'self', controller: 'memory' | 'cpu', { proc, cgroups }: GroupFiles): Group[] {
  return readText(join(proc, String(pid), 'cgroup'))
    .split('\n')
    .flatMap((line): Group[] => {
      const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
      if (path === undefined || controllers === undefined) return []
      if (controllers === '') return upwards(cgroups, path).map((folder) => ({ version: 2, folder }))
      if (!controllers.split(',').includes(controller)) return []
      return upwards(join(cgroups, controller), path).map((folder) => ({ version: 1, folder }))
    })
}

function upwards(root: string, path: string): string[] {
  const folders = [join(root, path)]
  for (let at = path; at !== '/'; at = dirname(at)) folders.push(join(root, dirname(at)))
  return folders
}

/** Empty where there is no such file, or it cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** NaN where the file holds no number, such as `max`. */
export const readNumber = (path: string): number => Number(readText(path).trim() || Number.NaN)
