/** What the kernel of this machine says that matters to engines, read anew each time. */
import { type StatsFs, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { HostFacts } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import { type GroupFiles, groupsOf, readNumber, readText } from './control-groups.ts'
import { memoryLeft } from './memory-left.ts'

export interface FactsTerms {
  readonly clock: Pick<Clock, 'now' | 'wall' | 'boot'>
  /** Where the engines' data lies. */
  readonly directory: string
  /** Another root for a tree of files as on some other machine. Default: this machine. */
  readonly root?: string
  readonly statfs?: (path: string) => Pick<StatsFs, 'bsize' | 'blocks' | 'bavail'>
}

/** A limit of version 1 beyond the memory of any machine is none. */
const unlimitedBytes = 2 ** 60
const enginePackages = /^(?:redis|valkey|redis-server|valkey-server|redis-sentinel|valkey-sentinel)$/

/** Reads the facts; remembers of the look before what a share and a jump are measured from. */
export class FactsReader {
  readonly #terms: FactsTerms
  readonly #began: { readonly wall: number; readonly now: number }
  #cpu: CpuTime | undefined
  #packages: { readonly changedAt: number; readonly found: readonly string[] } | undefined

  constructor(terms: FactsTerms) {
    this.#terms = terms
    const { clock } = terms
    this.#began = { wall: clock.wall(), now: clock.now() }
    this.#cpu = cpuTime(this.#path('proc/stat'))
  }

  read(): HostFacts {
    const { clock } = this.#terms
    const memory = fieldsOf(readText(this.#path('proc/meminfo')))
    const [wall, now] = [clock.wall(), clock.now()]
    return {
      kernel: readText(this.#path('proc/sys/kernel/osrelease')).trim(),
      boot: clock.boot,
      cores: [...readText(this.#path('proc/stat')).matchAll(/^cpu\d+ /gm)].length,
      memoryBytes: memory('MemTotal'),
      limits: this.#limits(),
      swap: swapOf(memory('SwapTotal'), memory('SwapFree')),
      disk: this.#disk(),
      overcommit: known(readNumber(this.#path('proc/sys/vm/overcommit_memory'))),
      hugePages: hugePagesOf(readText(this.#path('sys/kernel/mm/transparent_hugepage/enabled'))),
      somaxconn: known(readNumber(this.#path('proc/sys/net/core/somaxconn'))),
      openFiles: openFilesOf(readText(this.#path('proc/self/limits'))),
      packages: this.#installed(),
      wallNow: Math.round(wall),
      clockJumpMs: Math.round(wall - this.#began.wall - (now - this.#began.now)),
      usage: {
        cpu: this.#cpuShare(),
        memoryFreeBytes: memory('MemAvailable'),
        memoryLeftBytes: memoryLeft('self', { proc: this.#path('proc'), cgroups: this.#path('sys/fs/cgroup') }),
      },
    }
  }

  #path(path: string): string {
    return join(this.#terms.root ?? '/', path)
  }

  #limits(): HostFacts['limits'] {
    const files: GroupFiles = { proc: this.#path('proc'), cgroups: this.#path('sys/fs/cgroup') }
    const memory = groupsOf('self', 'memory', files).map(({ version, folder }) =>
      readNumber(join(folder, version === 2 ? 'memory.max' : 'memory.limit_in_bytes')),
    )
    const cores = groupsOf('self', 'cpu', files).map(({ version, folder }) => {
      if (version === 1)
        return readNumber(join(folder, 'cpu.cfs_quota_us')) / readNumber(join(folder, 'cpu.cfs_period_us'))
      const [quota, period] = readText(join(folder, 'cpu.max')).trim().split(' ')
      return Number(quota) / Number(period)
    })
    return {
      memoryBytes: smallest(memory.filter((bytes) => bytes < unlimitedBytes)),
      // A quota of -1 is none.
      cores: smallest(cores.filter((count) => count > 0)),
    }
  }

  #disk(): HostFacts['disk'] {
    const { directory, statfs = statfsSync } = this.#terms
    try {
      const { bsize, blocks, bavail } = statfs(directory)
      const readOnly = isReadOnly(readText(this.#path('proc/self/mounts')), directory)
      return { totalBytes: bsize * blocks, freeBytes: bsize * bavail, readOnly }
    } catch {
      return null
    }
  }

  /** The list is long, so it is read again only when it has changed. */
  #installed(): readonly string[] {
    const path = this.#path('var/lib/dpkg/status')
    const changedAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
    if (this.#packages?.changedAt !== changedAt) this.#packages = { changedAt, found: installedIn(readText(path)) }
    return this.#packages.found
  }

  #cpuShare(): number | null {
    const before = this.#cpu
    const after = cpuTime(this.#path('proc/stat'))
    this.#cpu = after
    if (before === undefined || after === undefined || after.all <= before.all) return null
    return 1 - (after.idle - before.idle) / (after.all - before.all)
  }
}

interface CpuTime {
  readonly idle: number
  readonly all: number
}

/** Waiting for a disk is idle, too. Guests are counted in the time of their users already. */
function cpuTime(path: string): CpuTime | undefined {
  const times = /^cpu +(.*)$/m.exec(readText(path))?.[1]?.split(' ').slice(0, 8).map(Number)
  if (times === undefined) return undefined
  return { idle: (times[3] ?? 0) + (times[4] ?? 0), all: times.reduce((sum, ticks) => sum + ticks, 0) }
}

const fieldsOf =
  (meminfo: string) =>
  (name: string): number | null => {
    const kb = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1]
    return kb === undefined ? null : Number(kb) * 1024
  }

const swapOf = (total: number | null, free: number | null): HostFacts['swap'] =>
  total === null || free === null ? null : { totalBytes: total, usedBytes: total - free }

function hugePagesOf(text: string): HostFacts['hugePages'] {
  const chosen = /\[(always|madvise|never)\]/.exec(text)?.[1]
  return (chosen as HostFacts['hugePages']) ?? null
}

/** The hard limit: the agent and its engines raise the soft one up to it. */
function openFilesOf(limits: string): number | null {
  const hard = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(limits)?.[1]
  if (hard === undefined) return null
  return hard === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(hard)
}

/** By the mount that the directory is in: the longest path that leads to it, and of one path the last. */
function isReadOnly(mounts: string, directory: string): boolean {
  const leading = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, at = '']) => at === '/' || `${directory}/`.startsWith(`${at}/`))
  const longest = Math.max(0, ...leading.map(([, at = '']) => at.length))
  const options = leading.findLast(([, at = '']) => at.length === longest)?.[3] ?? ''
  return options.split(',').includes('ro')
}

function installedIn(status: string): readonly string[] {
  return status.split('\n\n').flatMap((entry) => {
    const name = /^Package: (.*)$/m.exec(entry)?.[1] ?? ''
    const version = /^Version: (.*)$/m.exec(entry)?.[1]
    const isInstalled = /^Status: install ok installed$/m.test(entry)
    return version !== undefined && isInstalled && enginePackages.test(name) ? [`${name} ${version}`] : []
  })
}

const known = (value: number): number | null => (Number.isNaN(value) ? null : value)
const smallest = (values: readonly number[]): number | null => (values.length === 0 ? null : Math.min(...values))
