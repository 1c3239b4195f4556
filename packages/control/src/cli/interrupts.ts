/** Ctrl-C and its kin. The first asks to end; the second not to wait for that. */
const kinds = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export class Interrupts {
  readonly #first = new AbortController()
  readonly #second = new AbortController()
  readonly #hear = (): void => (this.#first.signal.aborted ? this.#second : this.#first).abort()

  constructor() {
    for (const kind of kinds) process.on(kind, this.#hear)
  }

  /** Fires with the first. */
  get signal(): AbortSignal {
    return this.#first.signal
  }

  first(): Promise<void> {
    return fired(this.#first.signal)
  }

  second(): Promise<void> {
    return fired(this.#second.signal)
  }

  /** From now on they end the process again, as they do by themselves. */
  close(): void {
    for (const kind of kinds) process.off(kind, this.#hear)
  }
}

function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
