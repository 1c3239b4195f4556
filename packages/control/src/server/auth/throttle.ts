import type { Clock } from '../../clock.ts'

interface Rule {
  /** Attempts before the first wait. */
  readonly free: number
  readonly waitMsMax: number
}

/**
 * One address waits longer and longer, up to five minutes. One account, tried from many addresses, never waits longer
 * than two seconds: guessing stays hopeless against 140 bits, and nobody can lock its owner out.
 */
const rules = {
  address: { free: 5, waitMsMax: 5 * 60_000 },
  account: { free: 20, waitMsMax: 2000 },
} as const satisfies Record<string, Rule>

interface Attempts {
  count: number
  /** When the next attempt is looked at, by our clock. */
  openAt: number
}

const forgetAfterMs = 15 * 60_000
const entriesMax = 5000

/** How often sign-ins failed. Refused attempts do not count, or a flood would keep the door shut for ever. */
export class Throttle {
  readonly #clock: Clock
  readonly #attempts = new Map<string, Attempts>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Counts an attempt before its outcome is known, so that many at once do not all slip through. Answers 0, or how
   * long to wait, in ms.
   */
  enter(address: string, account: string): number {
    const now = this.#clock.now()
    const doors = [
      { key: `address ${address}`, rule: rules.address },
      { key: `account ${account}`, rule: rules.account },
    ]
    const waitMs = Math.max(...doors.map(({ key }) => (this.#find(key, now)?.openAt ?? now) - now))
    if (waitMs > 0) return waitMs
    for (const { key, rule } of doors) {
      const count = (this.#find(key, now)?.count ?? 0) + 1
      const over = count - rule.free
      const pauseMs = over < 0 ? 0 : Math.min(rule.waitMsMax, 1000 * 2 ** Math.min(over, 20))
      this.#keep(key, { count, openAt: now + pauseMs })
    }
    return 0
  }

  /** After a right password. */
  forgive(address: string, account: string): void {
    this.#attempts.delete(`address ${address}`)
    this.#attempts.delete(`account ${account}`)
  }

  #find(key: string, now: number): Attempts | undefined {
    const found = this.#attempts.get(key)
    if (found === undefined || now < found.openAt + forgetAfterMs) return found
    this.#attempts.delete(key)
    return undefined
  }

  /** Moves the entry to the end, so that the first is the one that was quiet longest. */
  #keep(key: string, attempts: Attempts): void {
    this.#attempts.delete(key)
    this.#attempts.set(key, attempts)
    const oldest = this.#attempts.keys().next()
    if (this.#attempts.size > entriesMax && oldest.done !== true) this.#attempts.delete(oldest.value)
  }
}
