/**
 * What goes wrong with a machine while engines run on it, and when it is over: a disk that nobody can write to, or that is
 * nearly full, memory that runs out, a clock that was set. What begins at one bound ends at a farther one, so that a
 * figure which swings around a bound is told of once. How a machine is set up is a finding and no trouble (`host-facts.ts`).
 */
import type { HostFacts } from './host-facts.ts'
import { isShortOfDisk } from './host-facts.ts'
import { formatBytes, formatDuration } from './units.ts'

export interface HostTrouble {
  readonly about: 'disk read-only' | 'disk nearly full' | 'memory' | 'clock'
  readonly because: string
  readonly todo: string
}

/** What is known of one host from one look to the next. */
export interface TroubleSeen {
  readonly troubles: readonly HostTrouble[]
  readonly clockJumpMs: number
  /** When its clock was last set, by our clock; null: not since anybody looked. */
  readonly jumpedAt: number | null
}

/** A trouble is over once there is so many times more than where it begins. */
const overAt = 1.25
const memoryShareMin = 0.05
const memoryBytesMin = 64 * 1024 ** 2
const clockOffMs = 1000
/** How long a clock that was set is told of. */
const jumpToldMs = 600_000

/** `now`: by our monotonic clock. `offMs`: how far its clock is ahead of the controller's. */
export function judgeTrouble(
  facts: HostFacts,
  before: TroubleSeen | undefined,
  { now, offMs }: { readonly now: number; readonly offMs: number },
): TroubleSeen {
  const { clockJumpMs } = facts
  const movedMs = clockJumpMs - (before?.clockJumpMs ?? clockJumpMs)
  // An agent that was started anew counts from then on, and has not jumped back.
  const hasJumped = Math.abs(movedMs) > clockOffMs && Math.abs(clockJumpMs) > clockOffMs
  const jumpedAt = hasJumped ? now : (before?.jumpedAt ?? null)
  const lasts = (about: HostTrouble['about']): boolean =>
    before?.troubles.some((trouble) => trouble.about === about) === true
  const clock = judgeClock({ offMs, movedMs: hasJumped ? movedMs : null, isTold: lasts('clock') })
  const told = jumpedAt !== null && now - jumpedAt < jumpToldMs
  const former = before?.troubles.find(({ about }) => about === 'clock')
  return {
    troubles: [
      ...judgeDisk(facts, lasts('disk nearly full')),
      ...judgeMemory(facts, lasts('memory')),
      ...(clock ?? (told && former !== undefined ? [former] : [])),
    ],
    clockJumpMs,
    jumpedAt,
  }
}

function judgeDisk({ disk }: HostFacts, lasts: boolean): HostTrouble[] {
  if (disk === null) return []
  if (disk.readOnly) {
    return [
      {
        about: 'disk read-only',
        because: 'the disk with the data is read-only: engines there cannot save, and none that ends can start again',
        todo: 'see dmesg for why, and mount it again for writing',
      },
    ]
  }
  if (!isShortOfDisk(disk, lasts ? overAt : 1)) return []
  const because = `${formatBytes(disk.freeBytes)} of ${formatBytes(disk.totalBytes)} are free on the disk with the data: once it is full, primaries there refuse writes`
  return [{ about: 'disk nearly full', because, todo: 'make room, or move HOLDFAST_HOME to a larger disk' }]
}

function judgeMemory({ memoryBytes, limits, usage }: HostFacts, lasts: boolean): HostTrouble[] {
  const left = usage.memoryLeftBytes ?? usage.memoryFreeBytes
  const all = Math.min(memoryBytes ?? Number.POSITIVE_INFINITY, limits.memoryBytes ?? Number.POSITIVE_INFINITY)
  if (left === null || !Number.isFinite(all)) return []
  if (left >= Math.max(memoryBytesMin, all * memoryShareMin) * (lasts ? overAt : 1)) return []
  const because = `${formatBytes(left)} of ${formatBytes(all)} of memory are left: the kernel will end an engine`
  return [{ about: 'memory', because, todo: 'move a node away, lower memory.maxPerNode, or give it more memory' }]
}

interface ClockSeen {
  readonly offMs: number
  /** By how much it was set since the look before; null: it was not. */
  readonly movedMs: number | null
  readonly isTold: boolean
}

/** Undefined: nothing of it speaks now. */
function judgeClock({ offMs, movedMs, isTold }: ClockSeen): HostTrouble[] | undefined {
  const todo = 'let chrony or systemd-timesyncd keep its time'
  if (movedMs !== null) {
    const because = `its clock has jumped by ${formatDuration(Math.abs(movedMs))}: it was set, or the machine stood still`
    return [{ about: 'clock', because, todo }]
  }
  if (Math.abs(offMs) <= (isTold ? clockOffMs / overAt : clockOffMs)) return undefined
  const off = `${formatDuration(Math.abs(offMs))} ${offMs > 0 ? 'ahead of' : 'behind'}`
  return [{ about: 'clock', because: `its clock is ${off} the controller's: logs of both cannot be compared`, todo }]
}
