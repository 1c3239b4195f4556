/** The real program as people run it: a child process with a home of its own, and nothing of it left afterwards. */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ErrorCode, HoldfastEvent, SpecText, Status } from '@holdfast/core'
import { errorTable } from '@holdfast/core'
import { expect } from 'vitest'
import { processesIn } from '../../packages/control/src/proc.ts'
import type { ControllerFound } from '../../packages/control/src/store/controller-file.ts'
import { readController } from '../../packages/control/src/store/controller-file.ts'
import type { Home } from '../../packages/control/src/store/home.ts'
import { homeAt } from '../../packages/control/src/store/home.ts'
import { shareEngines } from './engines.ts'
import { eventually } from './eventually.ts'
import { byHand, refuseSecrets, secretsInHome, secretsSaid, shownIn } from './no-secrets.ts'

export const mainPath = fileURLToPath(new URL('../../packages/control/dist/main.js', import.meta.url))

export interface Ended {
  /** null: a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly pid: number
  stdout(): string
  stderr(): string
  signal(signal: NodeJS.Signals): void
  /** Types something, and ends the input. */
  type(text: string): void
  readonly ended: Promise<Ended>
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  readonly withinMs?: number
  /** Something other than the program itself, such as a shell; the home is in its environment. */
  readonly command?: string
  readonly cwd?: string
}

export class Program {
  readonly path: string
  readonly home: Home
  readonly #scratch: string
  /** What it said, and should not have said. */
  readonly #said: string[] = []

  constructor({ engines = true } = {}) {
    this.#scratch = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-cli-')))
    this.path = join(this.#scratch, 'home')
    this.home = homeAt(this.path)
    if (engines) this.#share()
  }

  /** A file beside the home, such as a spec (JSON is YAML). Answers its path. */
  file(name: string, content: string | SpecText): string {
    const path = join(this.#scratch, name)
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content, null, 2))
    return path
  }

  start(args: readonly string[], { env = {}, withinMs = 60_000, command, cwd }: RunOptions = {}): Running {
    const [file, first] = command === undefined ? [process.execPath, [mainPath]] : [command, []]
    const hand = command === undefined ? {} : byHand
    const child = spawn(file, [...first, ...args], {
      ...(cwd === undefined ? {} : { cwd }),
      // Not as npm's child: the program then names itself as a clone's user has to type it.
      env: { ...process.env, npm_execpath: undefined, HOLDFAST_HOME: this.path, ...hand, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    // A program that ends before it has read its input is none of the tests' business.
    child.stdin.on('error', () => {})
    const [stdout, stderr] = [gather(child.stdout), gather(child.stderr)]
    const late = setTimeout(() => child.kill('SIGKILL'), withinMs)
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => {
        clearTimeout(late)
        if (command === undefined) this.#said.push(...secretsSaid(args, `${stdout()}${stderr()}`))
        resolve({ code, stdout: stdout(), stderr: stderr() })
      })
    })
    return {
      pid: child.pid ?? 0,
      stdout,
      stderr,
      signal: (signal) => void child.kill(signal),
      type: (text) => void child.stdin.end(text),
      ended,
    }
  }

  async run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    const running = this.start(args, options)
    running.type(options.input ?? '')
    return running.ended
  }

  /** Runs what must succeed; answers what it printed. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    const ended = await this.run(args, options)
    if (ended.code !== 0) throw new Error(`holdfast ${args.join(' ')} ended with ${ended.code}:\n${ended.stderr}`)
    return ended
  }

  /** Runs what must be refused with this code, in the shape that all refusals have; answers the sentence. */
  async refused(code: ErrorCode, args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code: exit, stdout, stderr } = await this.run(args, options)
    expect(stderr).toContain(`\n(${code})\n`)
    expect(stderr).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m)
    expect(exit).toBe(errorTable[code].exit)
    expect(stdout).toBe('')
    return stderr.slice(0, stderr.lastIndexOf(`\n(${code})`))
  }

  async status(name: string): Promise<Status> {
    return JSON.parse((await this.ok(['status', name, '--json'])).stdout) as Status
  }

  async events(name: string): Promise<HoldfastEvent[]> {
    const { stdout } = await this.ok(['events', name, '--json', '--limit', '1000'])
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as HoldfastEvent)
  }

  /** What the API of the running controller answers: the same as the program prints, without starting it. */
  async ask<T>(path: string): Promise<T> {
    const { url, token } = this.controller() ?? {}
    const response = await fetch(`${url}/api/v1${path}`, {
      headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
    })
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`)
    const text = await response.text()
    if (!path.includes('/credentials')) refuseSecrets(shownIn(text).map((secret) => `GET ${path} shows ${secret}`))
    return JSON.parse(text) as T
  }

  /** The engines of a deployment that run, by node: from the kernel, whatever the program says. */
  engines(name: string): Readonly<Record<string, number>> {
    const nodes = entriesOf(this.home.deployment(name)).sort()
    return Object.fromEntries(
      nodes.flatMap((node) => {
        const [found] = processesIn(join(this.home.node(name, node), 'data'))
        return found === undefined ? [] : [[node, found.pid]]
      }),
    )
  }

  controller(): ControllerFound | undefined {
    return readController(this.home)
  }

  /** Every process of this home: its engines work in it, and the others have it in their environment. */
  processes(): number[] {
    const isOurs = (pid: number): boolean =>
      directoryOf(pid).startsWith(`${this.path}/`) || environmentOf(pid).includes(`HOLDFAST_HOME=${this.path}`)
    return entriesOf('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number)
      .filter((pid) => pid !== process.pid && isOurs(pid))
  }

  /** Ends the background controller with -9. */
  async killController(): Promise<void> {
    const found = this.controller()
    if (found === undefined) throw new Error('no controller runs')
    process.kill(found.pid, 'SIGKILL')
    await eventually(() => this.controller() === undefined, { what: 'the controller is gone' })
  }

  /** Ends all that runs for this home, and removes it. For `afterAll`: it also works after a failed test. */
  async close(): Promise<void> {
    await eventually(
      () => {
        const left = this.processes()
        for (const pid of left) kill(pid)
        return left.length === 0
      },
      { what: 'all processes of the home are gone' },
    )
    const shown = existsSync(this.path) ? secretsInHome(this.path) : []
    rmSync(this.#scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    refuseSecrets([...shown, ...this.#said])
  }

  #share(): void {
    mkdirSync(this.path, { mode: 0o700 })
    shareEngines(this.path)
  }
}

function gather(stream: ChildProcess['stdout']): () => string {
  let text = ''
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  return () => text
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function directoryOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return '' // gone meanwhile, or another user's
  }
}

/** An engine writes its title over its environment, so this finds the programs that are not engines. */
function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  } catch {
    return [] // gone meanwhile, or another user's
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone by itself.
  }
}
