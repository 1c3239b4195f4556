/** The process that keeps what is broken in a fabric, and its end: see keeper-process.mjs. */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A program and its arguments. */
export type Command = readonly string[]

/** What is removed in the end, with every process in it. */
export interface Belongings {
  readonly namespaces: readonly string[]
  readonly mounts: readonly string[]
  readonly groups: readonly string[]
  readonly folder: string
}

/** How a fault is done and undone. Undoing twice does no harm. */
export interface Injury {
  /** In words, as in "a is cut from its peers". */
  readonly what: string
  readonly inject: readonly Command[]
  readonly heal: readonly Command[]
  /** It comes and goes, as long the one as the other, ms; null: it stays until it heals. */
  readonly everyMs: number | null
}

export interface Injured {
  /** Wall clock, ms since 1970. */
  readonly injectedAt: number
  /** When its timer, or `heal`, has undone it. */
  readonly healed: Promise<number>
  /** Before its time. */
  readonly heal: () => Promise<number>
}

type Word =
  | { readonly injected: string; readonly at: number }
  | { readonly healed: string; readonly at: number }
  | { readonly trouble: string; readonly because: string }

const program = fileURLToPath(new URL('./keeper-process.mjs', import.meta.url))

export class Keeper {
  readonly #child: ChildProcess
  readonly #heard = new Map<string, (word: Word) => void>()
  #orders = 0

  constructor(belongings: Belongings) {
    // In a session of its own: what ends the tests and all their children must not end this.
    this.#child = spawn(process.execPath, [program], { cwd: '/', detached: true, stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.stdin?.on('error', () => {})
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const word = JSON.parse(line) as Word
      const id = 'injected' in word ? word.injected : 'healed' in word ? word.healed : word.trouble
      this.#heard.get(id)?.(word)
    })
    this.#tell({ fabric: belongings })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Done once it answers; undone by a timer that outlives this process. */
  async injure({ what, inject, heal, everyMs }: Injury, forMs: number): Promise<Injured> {
    const id = `${++this.#orders}`
    let isHealed: (at: number) => void
    const healed = new Promise<number>((resolve) => {
      isHealed = resolve
    })
    const injectedAt = await new Promise<number>((resolve, reject) => {
      this.#heard.set(id, (word) => {
        if ('injected' in word) resolve(word.at)
        else if ('healed' in word) isHealed(word.at)
        else reject(new Error(`${what}: ${word.because}`))
      })
      this.#tell({ order: { id, inject, heal, forMs, everyMs } })
    })
    const healNow = (): Promise<number> => {
      this.#tell({ heal: id })
      return healed
    }
    return { injectedAt, healed, heal: healNow }
  }

  /** Heals everything, removes everything, ends. */
  async close(): Promise<void> {
    const gone = this.#child.exitCode === null && this.#child.signalCode === null ? once(this.#child, 'exit') : null
    this.#child.stdin?.end()
    await gone
  }

  #tell(told: unknown): void {
    this.#child.stdin?.write(`${JSON.stringify(told)}\n`)
  }
}
