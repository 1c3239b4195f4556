import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** What the kernel says of a process. Linux only, as the engines' hosts are. */
export interface ProcessFacts {
  readonly pid: number
  readonly parent: number
  readonly command: string
  /** Clock ticks after boot: with the boot id and the pid, the identity of a process. */
  readonly startTime: number
  readonly state: string
  /** A SIGKILL is on its way: it will never answer again, even if a stalled disk keeps it in D for now. */
  readonly killPending: boolean
  /** CPU time of the main thread since it started. */
  readonly cpuMs: number
}

/** Exactly one process of this boot: a pid alone may have been given to somebody else since. */
export interface ProcessId {
  readonly pid: number
  readonly startTime: number
}

/** Whether it still runs; a zombie does not. */
export function isRunning({ pid, startTime }: ProcessId): boolean {
  const facts = readStat(pid)
  return facts !== undefined && facts.startTime === startTime && facts.state !== 'Z' && facts.state !== 'X'
}

/** A signal to exactly this process. False: it is gone, and nobody was signalled. */
export function signalExactly({ pid, startTime }: ProcessId, signal: NodeJS.Signals): boolean {
  if (readStat(pid)?.startTime !== startTime) return false
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    // It ended between the look and the signal.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

export function readProcess(pid: number): ProcessFacts | undefined {
  const stat = readStat(pid)
  if (stat === undefined) return undefined
  const { userTicks, systemTicks, ...facts } = stat
  const cpuMs = mainThreadCpuMs(pid) ?? (userTicks + systemTicks) * 10
  return { ...facts, pid, killPending: isKillPending(pid), cpuMs }
}

const readStat = (pid: number) => parseStat(readText(`/proc/${pid}/stat`) ?? '')

/**
 * `/proc/PID/stat`: the pid, the command in brackets, the state, and so on; the start time is field 22. The command may
 * hold spaces and brackets of its own, so the fields are counted from the last closing one.
 */
export function parseStat(text: string) {
  const end = text.lastIndexOf(')')
  const fields = text
    .slice(end + 1)
    .trim()
    .split(/\s+/)
  const [state, startTime] = [fields[0], Number(fields[19])]
  if (end < 0 || state === undefined || !Number.isSafeInteger(startTime)) return undefined
  return {
    command: text.slice(text.indexOf('(') + 1, end),
    state,
    parent: Number(fields[1]),
    startTime,
    userTicks: Number(fields[11]),
    systemTicks: Number(fields[12]),
  }
}

/** The boot that this machine is in: a pid and a start time of another boot mean nothing. */
export function bootId(): string {
  return readText('/proc/sys/kernel/random/boot_id')?.trim() ?? 'unknown'
}

/** Processes whose working directory is this one, parents first: an engine's forked child shares its parent's. */
export function processesIn(directory: string): ProcessFacts[] {
  const found: ProcessFacts[] = []
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      if (readlinkSync(`/proc/${entry}/cwd`) !== directory) continue
    } catch {
      continue // gone meanwhile, or another user's
    }
    const facts = readProcess(Number(entry))
    if (facts !== undefined && facts.state !== 'Z' && facts.state !== 'X') found.push(facts)
  }
  const pids = new Set(found.map(({ pid }) => pid))
  return found.filter(({ parent }) => !pids.has(parent))
}

/** Nanoseconds on a CPU, exactly; `stat` counts in hundredths of a second, too coarse for an idle engine. */
function mainThreadCpuMs(pid: number): number | undefined {
  const onCpu = readText(`/proc/${pid}/schedstat`)?.split(' ')[0]
  return onCpu === undefined ? undefined : Number(onCpu) / 1e6
}

/** A SIGKILL is on its way to it. */
export function isKillPending(pid: number): boolean {
  const status = readText(`/proc/${pid}/status`) ?? ''
  return [...status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)].some(
    ([, mask]) => (BigInt(`0x${mask}`) & (1n << 8n)) !== 0n,
  )
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
