/** Asks the process of a fabric's clients. */
import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CheckResult, Outage, OutageWindow } from '@holdfast/core'
import type { Copies, ReadBackTerms } from '../../../packages/control/src/drill/read-back.ts'
import type { WorkloadPlan } from '../../../packages/control/src/drill/workload.ts'
import type { LinkTarget } from '../../../packages/control/src/engine/link.ts'
import type { Fabric } from './fabric.ts'
import type { ReadsSeen } from './reader.ts'

export type Question =
  | {
      readonly kind: 'command'
      readonly target: LinkTarget
      readonly args: readonly string[]
      readonly withinMs: number
    }
  | { readonly kind: 'write'; readonly plan: WorkloadPlan }
  | { readonly kind: 'acked'; readonly since: number }
  | { readonly kind: 'stop' }
  | { readonly kind: 'check'; readonly copies: Copies; readonly terms: ReadBackTerms; readonly window: OutageWindow }

export interface Asked {
  readonly id: number
  readonly question: Question
}

export type Answered =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly trouble: string }

/** What was written against what is there, and for how long nobody could write. */
export interface Found {
  readonly check: CheckResult
  readonly outages: readonly Outage[]
}

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

export class Clients {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answered: Answered) => void>()
  readonly #ready: Promise<unknown>
  #asked = 0

  constructor(fabric: Fabric) {
    this.#child = fork(path('../run-typescript.mjs'), [path('./clients-process.ts')], {
      execPath: 'ip',
      execArgv: ['netns', 'exec', fabric.clients, process.execPath],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#ready = new Promise((resolve) => this.#waiting.set(0, resolve))
    this.#child.on('message', (answered: Answered) => this.#hear(answered))
    this.#child.once('exit', () => {
      for (const id of this.#waiting.keys()) this.#hear({ id, trouble: 'the process of the clients has ended' })
    })
  }

  /** A command to an engine, as the user who may do everything there. */
  async command(target: LinkTarget, args: readonly string[], withinMs = 1000): Promise<unknown> {
    return this.#ask({ kind: 'command', target, args, withinMs })
  }

  async write(plan: WorkloadPlan): Promise<void> {
    await this.#ask({ kind: 'write', plan })
  }

  /** Which writers had an acknowledgement since then, as "client shard". */
  async acked(since: number): Promise<readonly string[]> {
    return (await this.#ask({ kind: 'acked', since })) as string[]
  }

  /** Nobody writes any more, and nobody reads: what the readers saw. */
  async stop(): Promise<ReadsSeen> {
    return (await this.#ask({ kind: 'stop' })) as ReadsSeen
  }

  /** Reads back all that was written, and deletes it. */
  async check(copies: Copies, terms: ReadBackTerms, window: OutageWindow): Promise<Found> {
    return (await this.#ask({ kind: 'check', copies, terms, window })) as Found
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }

  async #ask(question: Question): Promise<unknown> {
    await this.#ready
    const id = ++this.#asked
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, (answered) =>
        'trouble' in answered ? reject(new Error(answered.trouble)) : resolve(answered.value),
      )
      this.#child.send({ id, question } satisfies Asked)
    })
  }

  #hear(answered: Answered): void {
    this.#waiting.get(answered.id)?.(answered)
    this.#waiting.delete(answered.id)
  }
}
