import { execFile } from 'node:child_process'

export interface Ran {
  readonly stdout: string
  readonly stderr: string
  /** Why it must not be trusted: an exit code, a signal, our deadline, or no such program. Null: it ended well. */
  readonly failure: string | null
}

export interface RunOptions {
  readonly timeoutMs: number
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** Runs a program without a shell and always answers: what an exit code means is for the caller to say. */
export function run(file: string, args: readonly string[], options: RunOptions): Promise<Ran> {
  const settings = {
    timeout: options.timeoutMs,
    // A program that we only guess to be an engine may well ignore a polite signal.
    killSignal: 'SIGKILL' as const,
    maxBuffer: 16 * 1024 ** 2,
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  }
  return new Promise((resolve) => {
    const child = execFile(file, args, settings, (error, stdout, stderr) => {
      resolve({ stdout, stderr, failure: error === null ? null : failureOf(error, options.timeoutMs) })
    })
    child.stdin?.end()
  })
}

interface Ending {
  readonly message: string
  readonly code?: string | number | null | undefined
  readonly killed?: boolean | undefined
  readonly signal?: string | null | undefined
}

function failureOf(error: Ending, timeoutMs: number): string {
  if (error.killed === true) return `took longer than ${timeoutMs / 1000} s`
  if (typeof error.signal === 'string') return `was ended by ${error.signal}`
  return typeof error.code === 'number' ? `ended with exit code ${error.code}` : error.message
}
