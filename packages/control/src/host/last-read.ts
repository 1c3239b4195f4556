import type { Stats } from 'node:fs'
import { statSync } from 'node:fs'

/** The kernel's clock for files goes in steps: a change this soon after another may leave the same time behind. */
const settledAfterMs = 100

/**
 * What was read of a file or a folder, read again when it is asked for and has changed since, whoever changed it. So a
 * look that finds nothing new costs one question to the kernel.
 */
export class LastRead<T> {
  readonly #path: string
  readonly #read: (path: string, stat: Stats) => T
  readonly #absent: T
  #stamp: string | null = null
  #value: T

  /** `absent` is the answer where there is nothing, or it cannot be read now. */
  constructor(path: string, read: (path: string, stat: Stats) => T, absent: T) {
    this.#path = path
    this.#read = read
    this.#absent = absent
    this.#value = absent
  }

  get value(): T {
    try {
      // Looked at before it is read: what changes in between is read again next time.
      const stat = statSync(this.#path, { throwIfNoEntry: false })
      if (stat === undefined) return this.#forget()
      const stamp = `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`
      if (stamp === this.#stamp) return this.#value
      this.#value = this.#read(this.#path, stat)
      this.#stamp = Date.now() - stat.ctimeMs > settledAfterMs ? stamp : null
      return this.#value
    } catch {
      return this.#forget()
    }
  }

  #forget(): T {
    this.#stamp = null
    return this.#absent
  }
}
