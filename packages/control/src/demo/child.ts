/** A process of the demonstration, seen from outside. */
import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HoldfastError } from '@holdfast/core'

const endWithinMs = 3000

interface Reply {
  readonly kind: string
  readonly ask?: number
}

interface Waiting<Heard> {
  readonly heard: (reply: Heard) => void
  readonly failed: (how: string) => void
}

/** What it is told and what it tells are messages with a `kind`; an answer carries the `ask` of its question. */
export class Child<Told extends { readonly kind: string }, Heard extends Reply> {
  readonly name: string
  readonly #process: ChildProcess
  readonly #waiting = new Map<number | string, Waiting<Heard>>()
  readonly #gone: Promise<void>
  #asks = 0
  #isGone = false

  /** `program` lies beside this file; what it says on its streams goes to a file in `folder`. */
  constructor(program: 'shop-process' | 'load-process', name: string, folder: string) {
    this.name = name
    const path = fileURLToPath(new URL(`./${program}${extname(import.meta.url)}`, import.meta.url))
    const log = openSync(join(folder, `${name}.log`), 'a', 0o600)
    // In a session of its own: Ctrl-C in the terminal is for the demonstration, which then ends it in its turn.
    this.#process = fork(path, [], { cwd: folder, detached: true, execArgv: [], stdio: ['ignore', log, log, 'ipc'] })
    closeSync(log)
    this.#process.on('message', (message) => this.#hear(message as Heard))
    this.#process.on('error', () => undefined)
    this.#gone = new Promise((resolve) => {
      this.#process.once('exit', () => {
        this.#isGone = true
        for (const { failed } of this.#waiting.values()) failed('has ended')
        resolve()
      })
    })
  }

  get isGone(): boolean {
    return this.#isGone
  }

  tell(message: Told): void {
    if (this.#process.connected) this.#process.send(message, () => undefined)
  }

  /** Waits for its next message of this kind. */
  open(message: Told, kind: Heard['kind'], withinMs: number): Promise<Heard> {
    const answer = this.#answer(kind, withinMs)
    this.tell(message)
    return answer
  }

  /** The answer to this question alone. Throws when none comes in time. */
  ask(question: (ask: number) => Told, withinMs: number): Promise<Heard> {
    const ask = ++this.#asks
    const answer = this.#answer(ask, withinMs)
    this.tell(question(ask))
    return answer
  }

  async close(): Promise<void> {
    if (this.#isGone) return
    if (this.#process.connected) this.#process.disconnect()
    const late = setTimeout(() => this.#process.kill('SIGKILL'), endWithinMs)
    await this.#gone
    clearTimeout(late)
  }

  #answer(to: number | string, withinMs: number): Promise<Heard> {
    return new Promise((resolve, reject) => {
      const failed = (how: string): void => {
        clearTimeout(late)
        this.#waiting.delete(to)
        reject(new HoldfastError('UNREACHABLE_CONTROLLER', `${this.name} of the demonstration ${how}`))
      }
      const late = setTimeout(() => failed(`did not answer within ${withinMs} ms`), withinMs)
      const heard = (reply: Heard): void => {
        clearTimeout(late)
        resolve(reply)
      }
      this.#waiting.set(to, { heard, failed })
      if (this.#isGone) failed('has ended')
    })
  }

  #hear(reply: Heard): void {
    const to = reply.ask ?? reply.kind
    const hear = this.#waiting.get(to)
    this.#waiting.delete(to)
    hear?.heard(reply)
  }
}
