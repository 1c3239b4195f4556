/**
 * Hot keys stay in the local tier, whatever else comes: while a key is hot it is pinned, a few seconds at a time, so that
 * a scan of a million others cannot push it out and send every reader of it to one node.
 */
import type { Clock } from './clock.ts'
import type { Held } from './held.ts'
import type { HotKeys } from './hot-keys.ts'
import type { LocalTier } from './local-tier.ts'

export class Pins {
  readonly #terms: { hot: HotKeys; local: LocalTier<Held>; clock: Clock; pinMs: number }
  readonly #hot = new Set<string>()
  readonly #stop: (() => void)[]
  #cancel: (() => void) | undefined

  constructor(terms: { hot: HotKeys; local: LocalTier<Held>; clock: Clock; pinMs: number }) {
    this.#terms = terms
    this.#stop = [
      terms.hot.on('hot', ({ key }) => {
        this.#hot.add(key)
        this.#pin()
      }),
      terms.hot.on('cooled', ({ key }) => this.#hot.delete(key)),
    ]
  }

  close(): void {
    for (const stop of this.#stop) stop()
    this.#cancel?.()
  }

  #pin(): void {
    const { local, clock, pinMs } = this.#terms
    this.#cancel?.()
    this.#cancel = undefined
    const now = clock.now()
    for (const key of this.#hot) local.pin(key, now + pinMs, now)
    if (this.#hot.size > 0) this.#cancel = clock.after(pinMs / 2, () => this.#pin())
  }
}
