/**
 * Loads a file of a backup into an engine that is nobody's, and counts. That is the only proof that a backup can be
 * restored: the engine checks its own checksum, and every value is built once.
 *
 * The engine listens on a socket file alone, writes nothing, and ends with this. It is told to be a replica of somebody
 * who is not there: a primary would drop the keys whose time has passed since, and the counts would differ.
 */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { BackupFile, TrialVerdict } from '@holdfast/core'
import { formatBytes, HoldfastError, parseInfo } from '@holdfast/core'
import type { EngineBinary } from '../../binary/engine-binary.ts'
import { EngineLink } from '../../engine/link.ts'
import { newPassword } from '../../new-password.ts'
import { processesIn, signalExactly } from '../../proc.ts'
import { makeDirectory } from './disk.ts'

const pollMs = 50
const mb = 1024 ** 2
/** What an engine takes beside its data, generously: it is a limit against running away, and no measure. */
const besideBytes = 1024 * mb
const saidMax = 4000

export interface TrialPlace {
  readonly binary: EngineBinary
  /** Where the engine works: what an earlier trial has left there ends, and goes. */
  readonly scratch: string
  readonly guard: () => void
}

export type Tried = Pick<TrialVerdict, 'verdict' | 'because'>

/** Whether the engine loads this file, and finds in it what its head says. */
export async function loadForTrial(
  path: string,
  file: Pick<BackupFile, 'shard' | 'keys' | 'ttls' | 'memoryBytes'>,
  place: TrialPlace,
): Promise<Tried> {
  const room = availableMemory()
  const needed = file.memoryBytes ?? 0
  if (room !== null && needed * 1.2 > room) {
    const because = `${file.shard} takes about ${formatBytes(needed)} of memory to load, and ${formatBytes(room)} are there`
    return { verdict: 'unverified', because }
  }
  clearScratch(place.scratch)
  makeDirectory(place.scratch)
  symlinkSync(path, join(place.scratch, 'dump.rdb'))
  const sockets = mkdtempSync(join(tmpdir(), 'holdfast-trial-'))
  const engine = new Trial(place, join(sockets, 's'), needed)
  try {
    return judge(file, await engine.counts(place.guard))
  } finally {
    await engine.end()
    rmSync(sockets, { recursive: true, force: true })
    clearScratch(place.scratch)
  }
}

/** An engine that was left here by a controller that was killed has nobody, and would stay for ever. */
function clearScratch(scratch: string): void {
  for (const process of processesIn(scratch)) signalExactly(process, 'SIGKILL')
  rmSync(scratch, { recursive: true, force: true })
}

type Counts = { readonly keys: number; readonly ttls: number } | { readonly said: string }

function judge({ shard, keys, ttls }: Pick<BackupFile, 'shard' | 'keys' | 'ttls'>, counts: Counts): Tried {
  if ('said' in counts) {
    const isMemory = /out of memory|can't allocate|oom/i.test(counts.said)
    return { verdict: isMemory ? 'unverified' : 'broken', because: `${shard} does not load: ${counts.said}` }
  }
  if ((keys !== null && counts.keys !== keys) || (ttls !== null && counts.ttls !== ttls)) {
    const because = `${shard} has ${counts.keys} keys (${counts.ttls} with a time to live) once loaded, and should have ${keys} (${ttls})`
    return { verdict: 'broken', because }
  }
  return { verdict: 'verified', because: `${shard}: ${counts.keys} keys, ${counts.ttls} with a time to live` }
}

class Trial {
  readonly #child: ChildProcess
  readonly #link: EngineLink
  readonly #exit: Promise<unknown>
  #said = ''

  constructor({ binary, scratch }: TrialPlace, socket: string, memoryBytes: number) {
    const password = newPassword()
    const limitKb = Math.ceil((memoryBytes * 2 + besideBytes) / 1024)
    this.#child = spawn('/bin/sh', ['-c', `ulimit -v ${limitKb}; exec "$0" -`, binary.server], {
      cwd: scratch,
      env: { ...process.env, ...binary.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#exit = once(this.#child, 'close').catch(() => {})
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#said = (this.#said + chunk.toString()).slice(-saidMax)
      })
    }
    this.#child.stdin?.on('error', () => {})
    this.#child.stdin?.end(configOf(socket, password))
    this.#link = new EngineLink({ socket, username: '', password, name: 'holdfast-trial' })
  }

  /** Waits until it has loaded. It takes as long as it takes: the limit is that it ends, or that nobody wants it. */
  async counts(guard: () => void): Promise<Counts> {
    for (;;) {
      guard()
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return { said: lastWarning(this.#said) }
      const text = await this.#link.command(['INFO'], 5000).catch((error: unknown) => {
        if (error instanceof HoldfastError) return ''
        throw error
      })
      const info = parseInfo(String(text))
      if (info.get('loading') === '0') return countsOf(info)
      await delay(pollMs)
    }
  }

  async end(): Promise<void> {
    this.#link.close()
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await this.#exit
  }
}

function configOf(socket: string, password: string): string {
  const lines = [
    'port 0',
    `unixsocket ${socket}`,
    'unixsocketperm 700',
    'dir .',
    'dbfilename dump.rdb',
    'save ""',
    'appendonly no',
    'daemonize no',
    `requirepass ${password}`,
    'replicaof 127.0.0.1 1',
    'replica-serve-stale-data yes',
    'rdbchecksum yes',
  ]
  return `${lines.join('\n')}\n`
}

/** Of the first database, which is what the head of a file tells. */
function countsOf(info: ReadonlyMap<string, string>): Counts {
  const [, keys = '0', ttls = '0'] = /keys=(\d+),expires=(\d+)/.exec(info.get('db0') ?? '') ?? []
  return { keys: Number(keys), ttls: Number(ttls) }
}

function lastWarning(said: string): string {
  const lines = said.trimEnd().split('\n')
  const warnings = lines.filter((line) => / # /.test(line)).map((line) => line.replace(/^.* # /, ''))
  return warnings.at(-1) ?? lines.at(-1) ?? 'it said nothing'
}

/** What a process may take before others are swapped out or killed; null where the kernel does not say. */
function availableMemory(): number | null {
  try {
    const [, kb] = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? []
    return kb === undefined ? null : Number(kb) * 1024
  } catch {
    return null
  }
}
