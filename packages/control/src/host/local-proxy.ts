import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Action, AgentProxySeen, NodeFiles, ProxyFacts, Seen } from '@holdfast/core'
import { HoldfastError, nodePaths, proxyId } from '@holdfast/core'
import type { Program } from '../binary/program.ts'
import { run } from '../binary/run.ts'
import { processesIn, signalExactly } from '../proc.ts'
import type { AgentMemory } from './agent-memory.ts'
import { blankNode } from './agent-memory.ts'
import { removeNode } from './engine-process.ts'
import { writeIdentity } from './identity-files.ts'
import type { LocalHostOptions } from './local.ts'
import { askProxy, factsCommands, parseProxyFacts } from './proxy-admin.ts'
import { Supervised } from './supervised.ts'

/** An answer older than this is none: it is asked four times a second. */
const answerCountsMs = 1000
/** In which a new worker must have taken over from the one of before. */
const reloadWithinMs = 2000

/**
 * The proxy of one deployment on this machine. What is started and watched is HAProxy's master process, which keeps its
 * worker, ends with it, and stays itself when another file is read.
 */
export class LocalProxy {
  readonly #deployment: string
  readonly #options: LocalHostOptions
  readonly #memory: AgentMemory
  readonly #process: Supervised
  readonly #onExit: (pid: number) => void
  #facts: { readonly at: number; readonly facts: ProxyFacts } | null = null
  /** Since when it owes an answer; null: it does not. */
  #silentSince: number | null = null
  /** The process whose end nobody was told of yet: one that was adopted is no child. */
  #watched: number | null = null
  #asking = false

  constructor(deployment: string, options: LocalHostOptions, memory: AgentMemory, onExit: (pid: number) => void) {
    this.#deployment = deployment
    this.#options = options
    this.#memory = memory
    this.#onExit = onExit
    this.#process = new Supervised({
      deployment,
      id: proxyId,
      dataDir: this.#paths.data,
      clock: options.clock,
      memory,
      onBegin: () => void (this.#facts = null),
      onExit,
      lastWords: () => lastWords(join(this.#nodeDir, 'engine.log')),
    })
  }

  look(): AgentProxySeen {
    const { starts, fencedAt } = this.#process.memory
    const process = this.#process.look()
    return {
      process,
      answer: process.state === 'running' ? this.#answer() : { kind: 'unknown' },
      starts,
      fencedAt,
      loaded: readText(this.#paths.proxyLoaded),
    }
  }

  async act(action: Action, gate: () => void): Promise<void> {
    switch (action.kind) {
      case 'start':
        return this.#start(action.files, gate)
      case 'reload':
        return this.#reload(action.files, gate)
      case 'point':
        gate()
        // The keys are of one kind, so that a later word takes the place of an earlier one.
        await askProxy(this.#socket, [`set table told key primary data.gpt0 ${action.number}`])
        return
      case 'stop':
        return this.#stop(gate)
      case 'fence':
        this.#process.fence(action.pid, action.startTime)
        return this.#endWorkers()
      case 'purge':
        removeNode(this.#nodeDir)
        Object.assign(this.#process.memory, blankNode())
        return this.#memory.save(this.#deployment, true)
      default:
        throw new HoldfastError('USAGE', `${proxyId} is a proxy: it does not ${action.kind}`)
    }
  }

  /** Asks it where it leads, and notices the end of one that is no child. */
  async record(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    const seen = this.#process.look()
    this.#noticeEnd(seen)
    try {
      if (seen.state !== 'running') return
      const facts = parseProxyFacts(await askProxy(this.#socket, factsCommands))
      this.#facts = { at: this.#options.clock.now(), facts }
      this.#silentSince = null
      this.#process.noteAnswer()
    } catch {
      this.#silentSince ??= this.#options.clock.now()
    } finally {
      this.#asking = false
    }
  }

  get #nodeDir(): string {
    return this.#options.nodeDir(this.#deployment, proxyId)
  }

  get #paths(): ReturnType<typeof nodePaths> {
    return nodePaths(this.#nodeDir)
  }

  /** By way of its working directory, since the path of a socket may not be long and a home's may. */
  get #socket(): string {
    return `/proc/${this.#process.memory.process?.pid ?? 0}/cwd/admin.sock`
  }

  #answer(): Seen<ProxyFacts> {
    const now = this.#options.clock.now()
    if (this.#facts !== null && now - this.#facts.at < answerCountsMs) return { kind: 'answered', ...this.#facts }
    // One that never answered is starting.
    return this.#facts === null || this.#silentSince === null
      ? { kind: 'unknown' }
      : { kind: 'silent', since: this.#silentSince }
  }

  #noticeEnd(seen: AgentProxySeen['process']): void {
    if (seen.state === 'running') this.#watched = seen.pid
    else if (this.#watched !== null) {
      const pid = this.#watched
      this.#watched = null
      this.#onExit(pid)
    }
  }

  async #start(files: NodeFiles, gate: () => void): Promise<void> {
    if (!this.#process.mayStart()) return
    const program = await this.#options.proxyProgram()
    gate()
    this.#process.starting()
    try {
      mkdirSync(this.#paths.data, { recursive: true, mode: 0o700 })
      // A worker that has outlived its master would keep the ports.
      this.#endWorkers()
      await this.#write(files, program)
      gate()
      const child = await this.#spawn(program)
      this.#process.started(child.pid)
      child.onExit(() => {
        this.#watched = null
        this.#process.noticeExit(child.pid, this.#facts?.at ?? Number.NEGATIVE_INFINITY)
      })
      writeFileSync(this.#paths.proxyLoaded, files.config, { mode: 0o600 })
    } catch (error) {
      this.#process.noteFailure(messageOf(error))
      throw error
    }
  }

  async #spawn({ program, env }: Program): Promise<{ pid: number; onExit(listener: () => void): void }> {
    const log = openSync(join(this.#nodeDir, 'engine.log'), 'a', 0o600)
    try {
      const child = spawn(program, ['-W', '-f', this.#paths.proxy], {
        cwd: this.#paths.data,
        env: { ...process.env, ...env },
        detached: true,
        stdio: ['ignore', log, log],
      })
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve)
        child.once('error', reject)
      })
      child.unref()
      return { pid: child.pid as number, onExit: (listener) => void child.once('exit', listener) }
    } finally {
      closeSync(log)
    }
  }

  /** HAProxy's own word on the file comes first: one that it cannot read must not cost the worker that runs. */
  async #write(files: NodeFiles, { program, env }: Program): Promise<void> {
    writeIdentity(this.#nodeDir, files)
    writeFileSync(this.#paths.proxy, files.config, { mode: 0o600 })
    const args = ['-c', '-f', this.#paths.proxy]
    const { stdout, stderr, failure } = await run(program, args, { env, cwd: this.#paths.data, timeoutMs: 10_000 })
    if (failure === null) return
    const why = wordsOf(`${stdout}\n${stderr}`) ?? failure
    throw new HoldfastError('ENGINE_START_FAILED', `the proxy cannot read its file: ${why}`)
  }

  /** The master reads the file anew and stays who it is; the former worker goes on with the connections that it has. */
  async #reload(files: NodeFiles, gate: () => void): Promise<void> {
    const { process: master } = this.#process.memory
    if (master === null) return
    try {
      const before = await this.#worker()
      await this.#write(files, await this.#options.proxyProgram())
      gate()
      signalExactly(master, 'SIGUSR2')
      const deadline = this.#options.clock.now() + reloadWithinMs
      while ((await this.#worker().catch(() => before)) === before) {
        if (this.#options.clock.now() > deadline) {
          const why = lastWords(join(this.#nodeDir, 'engine.log'))
          throw new HoldfastError('ENGINE_START_FAILED', `the proxy did not take its new file: ${why}`)
        }
        await this.#options.clock.sleep(50)
      }
      writeFileSync(this.#paths.proxyLoaded, files.config, { mode: 0o600 })
    } catch (error) {
      this.#process.noteFailure(messageOf(error))
      throw error
    }
  }

  /** The pid of the worker that listens now. */
  async #worker(): Promise<string> {
    return /^Pid: (\d+)$/m.exec(await askProxy(this.#socket, ['show info']))?.[1] ?? ''
  }

  #stop(gate: () => void): void {
    const { process: master } = this.#process.memory
    if (this.#process.stopping || master === null || this.#process.look().state !== 'running') return
    gate()
    this.#process.stopping = true
    signalExactly(master, 'SIGTERM')
  }

  #endWorkers(): void {
    for (const worker of processesIn(this.#paths.data)) signalExactly(worker, 'SIGKILL')
  }
}

/** What HAProxy complained of last, without its names for levels and processes. */
function lastWords(path: string): string {
  return wordsOf((readText(path) ?? '').slice(-4000)) ?? 'it said nothing'
}

function wordsOf(text: string): string | null {
  const alerts = Array.from(text.matchAll(/^\[ALERT\]\s+\(\d+\) : (.*)$/gm), ([, words = '']) => words)
  return alerts.find((words) => /cannot bind|parsing/.test(words)) ?? alerts.at(-1) ?? null
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
