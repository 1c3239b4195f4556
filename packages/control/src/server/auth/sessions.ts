import { randomBytes } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import { sha256 } from './secret.ts'

interface Session {
  readonly user: string
  /** Of the user as he was when he signed in. */
  readonly stamp: string
  readonly startedAt: number
  /** The last time that a person did something, by our clock. */
  usedAt: number
}

const idleMsMax = 30 * 60_000
const ageMsMax = 12 * 3_600_000
const sessionsMax = 200

/**
 * Who is signed in, in memory: a restart signs everybody out. Kept by the SHA-256 of the id, so that reading this
 * memory gives nobody a session. Bounded: the oldest one makes room.
 */
export class Sessions {
  readonly #clock: Clock
  readonly #sessions = new Map<string, Session>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Answers the id for the cookie; it is kept nowhere else. */
  start(user: string, stamp: string): string {
    const oldest = this.#sessions.keys().next()
    if (this.#sessions.size >= sessionsMax && oldest.done !== true) this.#sessions.delete(oldest.value)
    const id = randomBytes(32).toString('base64url')
    const now = this.#clock.now()
    this.#sessions.set(keyOf(id), { user, stamp, startedAt: now, usedAt: now })
    return id
  }

  find(id: string): { readonly user: string; readonly stamp: string; readonly endsInMs: number } | undefined {
    const session = this.#sessions.get(keyOf(id))
    if (session === undefined) return undefined
    const now = this.#clock.now()
    const endsInMs = Math.min(session.usedAt + idleMsMax, session.startedAt + ageMsMax) - now
    if (endsInMs > 0) return { user: session.user, stamp: session.stamp, endsInMs }
    this.#sessions.delete(keyOf(id))
    return undefined
  }

  touch(id: string): void {
    const session = this.#sessions.get(keyOf(id))
    if (session !== undefined) session.usedAt = this.#clock.now()
  }

  end(id: string): void {
    this.#sessions.delete(keyOf(id))
  }
}

const keyOf = (id: string): string => sha256(id).toString('base64')
