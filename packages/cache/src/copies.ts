/**
 * A key so hot that one node is not enough is kept in several copies, each in a slot of its own, so that reads spread
 * over the nodes. All copies of one writing have one version. A copy lives a second: a change deletes all of them, and
 * what a change could not reach ends by itself. Whoever finds his copy gone reads the key and writes the copy anew.
 */
import type { Core } from './core.ts'
import type { KeySpace } from './keys.ts'

/** How long a copy lives, and with it what a change did not reach. */
export const copyMs = 1000

/** What copies need of a cache; all of it but these names is in `Core`. */
type CopyCore = Pick<Core, 'engine' | 'clock' | 'hot' | 'settings' | 'deadlineAt'>

export class Copies {
  readonly #core: CopyCore
  readonly #prefix: string
  readonly #values: string

  constructor(core: CopyCore, keys: KeySpace) {
    this.#core = core
    this.#prefix = keys.stateKey(`c/${keys.path}/`)
    this.#values = keys.valueKey('')
  }

  /** The names of all copies but the first, which is the key itself. A hash tag of the key would put them in one slot. */
  namesOf(name: string, copies: number): readonly string[] {
    return Array.from({ length: copies - 1 }, (_, index) => this.#nameOf(name, index + 1))
  }

  /** In how many copies a key is kept: as many as was said for it, or for hot keys. */
  countFor(name: string, wanted: number): number {
    const { hot, settings } = this.#core
    return settings.hot.copies > wanted && hot.isHot(name) ? settings.hot.copies : wanted
  }

  /** One of the copies by chance; undefined for the key itself. */
  pick(name: string, copies: number): string | undefined {
    if (copies <= 1) return undefined
    const index = Math.floor(this.#core.clock.random() * copies)
    return index === 0 ? undefined : this.#nameOf(name, index)
  }

  /** Puts bytes of the key into one copy. Nobody waits for it. */
  write(copy: string, bytes: Buffer): void {
    const { engine } = this.#core
    const command = ['SET', copy, bytes, 'PX', String(copyMs)]
    const deadlineAt = this.#core.deadlineAt()
    engine.send({ commands: [command], key: copy, deadlineAt, kind: 'write', idempotent: true }).catch(() => {})
  }

  /** Takes all copies away. A copy that cannot be reached ends within a second. */
  async delete(name: string, copies: number): Promise<void> {
    const { engine } = this.#core
    const deadlineAt = this.#core.deadlineAt()
    await Promise.allSettled(
      this.namesOf(name, copies).map((key) =>
        engine.send({ commands: [['UNLINK', key]], key, deadlineAt, kind: 'write', idempotent: true }),
      ),
    )
  }

  #nameOf(name: string, index: number): string {
    return `${this.#prefix}{${index}:${name.slice(this.#values.length)}}`
  }
}
