/** Asks every host of a home now and then what its machine is, and keeps what goes wrong there. */
import type { HostFacts, HostTrouble, TroubleSeen } from '@holdfast/core'
import { judgeTrouble } from '@holdfast/core'
import type { Clock } from '../clock.ts'

const askEveryMs = 10_000

export interface TroubleWatchOptions {
  readonly clock: Clock
  /** The hosts that have joined, and the machine of this controller. */
  readonly names: () => readonly string[]
  /** What a machine is now; undefined where it does not say. May throw: it does not answer. */
  readonly facts: (host: string) => Promise<HostFacts | undefined>
}

export class TroubleWatch {
  readonly #options: TroubleWatchOptions
  readonly #seen = new Map<string, TroubleSeen>()
  readonly #over = new AbortController()

  constructor(options: TroubleWatchOptions) {
    this.#options = options
  }

  /** What lasts there. Of a host that is not heard it is what was seen last: nobody knows that it is over. */
  troublesOn(host: string): readonly HostTrouble[] {
    return this.#seen.get(host)?.troubles ?? []
  }

  /** Looks until it is closed. */
  async run(): Promise<void> {
    while (!this.#over.signal.aborted) {
      await this.look()
      await this.#options.clock.sleep(askEveryMs, this.#over.signal)
    }
  }

  async look(): Promise<void> {
    const names = this.#options.names()
    for (const name of this.#seen.keys()) if (!names.includes(name)) this.#seen.delete(name)
    await Promise.all(names.map((name) => this.#lookAt(name)))
  }

  close(): void {
    this.#over.abort()
  }

  async #lookAt(name: string): Promise<void> {
    const { clock, facts } = this.#options
    const askedAt = clock.wall()
    const found = await facts(name).catch(() => undefined)
    if (found === undefined) return
    // Half of the time that the answer took was its way back.
    const offMs = found.wallNow - (askedAt + clock.wall()) / 2
    this.#seen.set(name, judgeTrouble(found, this.#seen.get(name), { now: clock.now(), offMs }))
  }
}
