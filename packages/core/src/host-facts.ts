/**
 * What a machine is to the engines on it, and what about it will hurt them one night. Facts are what its kernel says; what
 * it does not say is null. The findings are ours.
 */
import { formatBytes, formatDuration } from './units.ts'

export interface HostFacts {
  readonly kernel: string
  readonly boot: string
  readonly cores: number
  readonly memoryBytes: number | null
  /** What a control group allows the agent and its engines; null: no limit, or none that is known. */
  readonly limits: { readonly memoryBytes: number | null; readonly cores: number | null }
  readonly swap: { readonly totalBytes: number; readonly usedBytes: number } | null
  /** Of the file system with the engines' data. */
  readonly disk: { readonly totalBytes: number; readonly freeBytes: number; readonly readOnly: boolean } | null
  /** `vm.overcommit_memory`: 0, 1 or 2. */
  readonly overcommit: number | null
  readonly hugePages: 'always' | 'madvise' | 'never' | null
  readonly somaxconn: number | null
  /** How many files an engine may open here. */
  readonly openFiles: number | null
  /** Engines that are installed as packages, such as `redis-server 5:7.0.15-1`. */
  readonly packages: readonly string[]
  /** Ms since 1970, by its own clock. */
  readonly wallNow: number
  /** By how much its wall clock was set, or its monotonic one stood still, since the agent began; ms. */
  readonly clockJumpMs: number
  readonly usage: {
    /** Of all its cores, since the look before; 0 to 1. */
    readonly cpu: number | null
    readonly memoryFreeBytes: number | null
    /** What is left before the kernel ends somebody: less than what is free where a control group has a limit. Absent: an agent of before. */
    readonly memoryLeftBytes?: number | null
  }
}

/** Something that should be mended, and how. */
export interface HostFinding {
  readonly about: 'huge pages' | 'overcommit' | 'somaxconn' | 'open files' | 'swap' | 'disk' | 'clock'
  readonly because: string
  readonly todo: string
}

/** The engine asks for this many waiting connections, and for 10 000 clients and what it needs itself. */
const backlog = 511
const openFilesMin = 10_032
const swapBytesMin = 1024 ** 2
const freeBytesMin = 1024 ** 3
const freeShareMin = 0.05
const clockOffMs = 1000

/** `wallNow`: of the controller, at the moment of the facts; null where there is none to compare with. */
export function judgeHost(facts: HostFacts, wallNow: number | null): readonly HostFinding[] {
  return [
    ...judgeKernel(facts),
    ...judgeSwap(facts),
    ...judgeDisk(facts),
    ...judgeClock(facts, wallNow === null ? 0 : facts.wallNow - wallNow),
  ]
}

function judgeKernel({ hugePages, overcommit, somaxconn, openFiles }: HostFacts): HostFinding[] {
  const found: HostFinding[] = []
  if (hugePages === 'always') {
    found.push({
      about: 'huge pages',
      because: 'transparent huge pages are always used: while a snapshot is written, each small write copies 2 MB',
      todo: 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, and the same at boot',
    })
  }
  if (overcommit !== null && overcommit !== 1) {
    found.push({
      about: 'overcommit',
      because: `vm.overcommit_memory is ${overcommit}: a snapshot, or a replica's sync, may fail for want of memory that it would not use`,
      todo: 'sysctl vm.overcommit_memory=1, and the same in /etc/sysctl.d',
    })
  }
  if (somaxconn !== null && somaxconn < backlog) {
    found.push({
      about: 'somaxconn',
      because: `net.core.somaxconn is ${somaxconn}: when all clients come back at once, some are turned away`,
      todo: 'sysctl net.core.somaxconn=1024, and the same in /etc/sysctl.d',
    })
  }
  if (openFiles !== null && openFiles < openFilesMin) {
    found.push({
      about: 'open files',
      because: `an engine may open ${openFiles} files here: too few for 10 000 clients`,
      todo: 'LimitNOFILE=65536 in the unit of the agent, or ulimit -n 65536 before it is started',
    })
  }
  return found
}

function judgeSwap({ swap }: HostFacts): HostFinding[] {
  if (swap === null || swap.usedBytes < swapBytesMin) return []
  return [
    {
      about: 'swap',
      because: `${formatBytes(swap.usedBytes)} are in swap: an engine that waits for the disk looks frozen`,
      todo: 'give the machine less to do or more memory, then swapoff -a',
    },
  ]
}

function judgeDisk({ disk }: HostFacts): HostFinding[] {
  if (disk === null) return []
  const { totalBytes, freeBytes } = disk
  if (disk.readOnly) {
    const because = 'the disk with the data is read-only: no snapshot, no log, no record of the agent can be written'
    return [{ about: 'disk', because, todo: 'see dmesg for why, and mount it again for writing' }]
  }
  if (!isShortOfDisk(disk)) return []
  return [
    {
      about: 'disk',
      because: `${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} are free on the disk with the data`,
      todo: 'make room, or move HOLDFAST_HOME to a larger disk',
    },
  ]
}

/** `times`: as many times as much has to be free. */
export const isShortOfDisk = ({ totalBytes, freeBytes }: NonNullable<HostFacts['disk']>, times = 1): boolean =>
  freeBytes < times * Math.max(freeBytesMin, totalBytes * freeShareMin)

function judgeClock({ clockJumpMs }: HostFacts, offMs: number): HostFinding[] {
  const found: HostFinding[] = []
  const todo = 'let chrony or systemd-timesyncd keep its time'
  if (Math.abs(offMs) > clockOffMs) {
    const off = `${formatDuration(Math.abs(offMs))} ${offMs > 0 ? 'ahead of' : 'behind'}`
    found.push({
      about: 'clock',
      because: `its clock is ${off} the controller's: logs of both cannot be compared`,
      todo,
    })
  }
  if (Math.abs(clockJumpMs) > clockOffMs) {
    const because = `its clock has jumped by ${formatDuration(Math.abs(clockJumpMs))} since the agent began: it was set, or the machine stood still`
    found.push({ about: 'clock', because, todo })
  }
  return found
}
