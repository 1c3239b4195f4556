import { readFileSync } from 'node:fs'
import type { Action, AgentSentinelSeen, SentinelPlace } from '@holdfast/core'
import { HoldfastError, nodePaths, sentinelLooksEveryMs } from '@holdfast/core'
import { EngineLink } from '../engine/link.ts'
import { Access, closeSessions, loadUsers, wordAfter } from './access.ts'
import type { AgentMemory } from './agent-memory.ts'
import { blankNode } from './agent-memory.ts'
import { changeSentinel } from './change-engine.ts'
import { removeNode, startEngine, tailOfLog, writeUsers } from './engine-process.ts'
import { readAuthority } from './identity-files.ts'
import { LastRead } from './last-read.ts'
import type { LocalHostOptions } from './local.ts'
import { Supervised } from './supervised.ts'

/** How often it reads back who may sign in. */
const accessEveryMs = 2000

/** One Sentinel of this machine: its process, its directory, and the agent's own connection to it. */
export class LocalSentinel {
  readonly #deployment: string
  readonly #place: SentinelPlace
  readonly #options: LocalHostOptions
  readonly #memory: AgentMemory
  readonly #link: EngineLink
  readonly #process: Supervised
  readonly #access: Access
  readonly #file: LastRead<string>
  #readAt = Number.NEGATIVE_INFINITY
  #answeredAt = Number.NEGATIVE_INFINITY
  #looksOften = false

  constructor(
    deployment: string,
    place: SentinelPlace,
    options: LocalHostOptions,
    memory: AgentMemory,
    onExit: (pid: number) => void,
  ) {
    this.#deployment = deployment
    this.#place = place
    this.#options = options
    this.#memory = memory
    const nodeDir = options.nodeDir(deployment, place.id)
    const { clock } = options
    this.#access = new Access(nodeDir)
    this.#file = new LastRead(nodePaths(nodeDir).sentinel, (path) => readFileSync(path, 'utf8'), '')
    this.#process = new Supervised({
      deployment,
      id: place.id,
      dataDir: nodePaths(nodeDir).data,
      clock,
      memory,
      onBegin: () => {
        this.#looksOften = false
        this.#reread()
        this.#access.beginAnew()
      },
      onExit,
      lastWords: () => tailOfLog(nodeDir),
    })
    const { address, port } = place
    const { username } = options.admin(deployment)
    const password = (): string => options.admin(deployment).password
    const authority = (): string | null => readAuthority(nodeDir)
    this.#link = new EngineLink({ address, port, username, password, authority, name: 'holdfast-agent' }, () =>
      this.#process.noticeClosed(),
    )
  }

  look(): AgentSentinelSeen {
    const process = this.#process.look()
    const { memory } = this.#process
    const { starts, fencedAt, failoverAsked, resetAt } = memory
    const access = this.#access.seen(memory, this.#wordOf('sentinel sentinel-pass'))
    const certificate = wordAfter(this.#file.value, 'tls-cert-file')
    return { process, starts, fencedAt, failoverAsked, resetAt: resetAt ?? null, access, certificate }
  }

  async act(action: Action, gate: () => void): Promise<void> {
    switch (action.kind) {
      case 'start':
        return this.#start(action, gate)
      case 'stop':
        return this.#stop(gate)
      case 'fence':
        return this.#process.fence(action.pid, action.startTime)
      case 'purge':
        removeNode(this.#nodeDir)
        this.#link.close()
        Object.assign(this.#process.memory, blankNode())
        return this.#memory.save(this.#deployment, true)
      case 'ask-sentinel':
        // Written down first: another one must not be asked, whatever becomes of this.
        this.#process.memory.failoverAsked = { at: this.#options.clock.now(), mode: 'force' }
        this.#memory.save(this.#deployment, true)
        return changeSentinel(action, this.#guarded(gate))
      case 'reset-sentinel':
        this.#process.memory.resetAt = this.#options.clock.now()
        this.#memory.save(this.#deployment, true)
        return changeSentinel(action, this.#guarded(gate))
      case 'load-users':
        await loadUsers(action.files.users, this.#guarded(gate))
        writeUsers(this.#nodeDir, action.files)
        return this.#reread()
      case 'close-sessions':
        return this.#closeSessions(action, gate)
      case 'sign-in':
        await changeSentinel(action, this.#guarded(gate))
        return this.#reread()
      case 'watch':
      case 'set-sentinel':
      case 'unwatch':
        return changeSentinel(action, this.#guarded(gate))
      default:
        throw new HoldfastError('USAGE', `${this.#place.id} is a Sentinel: it does not ${action.kind}`)
    }
  }

  /** Keeps the connection open by which its death is noticed at once, and knows that it came up. */
  async record(): Promise<void> {
    if (this.#process.memory.process === null) return
    try {
      await this.#link.command(['PING'])
      this.#process.runs()
      const now = this.#options.clock.now()
      this.#answeredAt = now
      this.#process.noteAnswer()
      await this.#lookOften()
      if (now - this.#readAt < accessEveryMs) return
      this.#access.note(
        await this.#link.command(['ACL', 'LIST']),
        this.#wordOf(`sentinel auth-pass ${this.#deployment}`),
        await this.#link.command(['INFO', 'server']),
      )
      this.#readAt = now
    } catch {
      // It does not answer; whoever reads it says so.
    }
  }

  /** What it signs in with is in its file, which it keeps itself. */
  #wordOf(directive: string): string | null {
    return wordAfter(this.#file.value, directive)
  }

  #reread(): void {
    this.#access.forget()
    this.#readAt = Number.NEGATIVE_INFINITY
  }

  async #closeSessions(action: Extract<Action, { kind: 'close-sessions' }>, gate: () => void): Promise<void> {
    gate()
    // Our own session is as old as the others.
    this.#link.close()
    const { memory } = this.#process
    memory.closing = await closeSessions(this.#link, action, memory.closing, () => this.#options.clock.now())
    this.#memory.save(this.#deployment, false)
  }

  close(): void {
    this.#link.end()
  }

  /**
   * A Sentinel looks at replicas every ten seconds, and once a second while it fails over. Looking once a second all the
   * time, it knows whom it would promote, and each of them notices a promotion at another moment of that second, so that
   * the one to ask can be chosen by it. No file takes this; before Redis 7 there is no word for it either.
   */
  async #lookOften(): Promise<void> {
    if (this.#looksOften) return
    this.#looksOften = true
    await this.#link
      .command(['SENTINEL', 'DEBUG', 'INFO-PERIOD', String(sentinelLooksEveryMs)])
      .catch((error: unknown) => {
        if (!(error instanceof HoldfastError) || error.code !== 'ENGINE_REFUSED') this.#looksOften = false
      })
  }

  get #nodeDir(): string {
    return this.#options.nodeDir(this.#deployment, this.#place.id)
  }

  async #start(action: Extract<Action, { kind: 'start' }>, gate: () => void): Promise<void> {
    if (!this.#process.mayStart()) return
    const binary = await this.#options.binary(this.#deployment)
    gate()
    this.#process.starting()
    try {
      const request = { binary, place: this.#place, nodeDir: this.#nodeDir, action, gate, sentinel: true }
      const child = await startEngine(request)
      this.#process.started(child.pid)
      child.onExit(() => {
        this.#link.close()
        this.#process.noticeExit(child.pid, this.#answeredAt)
      })
    } catch (error) {
      this.#process.noteFailure(error instanceof Error ? error.message : String(error))
      throw error
    }
  }

  async #stop(gate: () => void): Promise<void> {
    if (this.#process.stopping || this.#process.look().state !== 'running') return
    await this.#link.command(['PING'])
    gate()
    this.#process.stopping = true
    this.#link.command(['SHUTDOWN'], 30_000).catch(() => {
      if (this.#link.isOpen) this.#process.stopping = false
    })
  }

  #guarded(gate: () => void): (args: readonly string[], withinMs?: number) => Promise<unknown> {
    return (args, withinMs) => {
      gate()
      return this.#link.command(args, withinMs)
    }
  }
}
