import { type SessionData, Store } from 'express-session'
import type { Cache } from '../cache.ts'
import { answer, type SessionOptions, Sessions } from './session.ts'

export type { SessionOptions } from './session.ts'

type Done = (error?: unknown) => void

/**
 * Keeps the sessions of `express-session`:
 *
 *     app.use(session({ store: new HoldfastStore(cache), secret, resave: false, saveUninitialized: false }))
 *
 * An error of the engine comes to the error handler. It never emits `disconnect`, at which express-session would go on
 * as if nobody had ever logged in. There is no `all`, `length` and `clear`: they would have to walk over all keys of all
 * nodes, and would still be wrong during a failover.
 */
export class HoldfastStore extends Store {
  readonly #sessions: Sessions

  constructor(cache: Pick<Cache, 'on'>, options: SessionOptions = {}) {
    super()
    this.#sessions = new Sessions(cache, options)
  }

  override get(id: string, done: (error: unknown, session?: SessionData | null) => void): void {
    answer(async () => (await this.#sessions.get(id)) as SessionData | undefined, done)
  }

  override set(id: string, session: SessionData, done?: Done): void {
    answer(() => this.#sessions.set(id, session), done)
  }

  override touch(id: string, session: SessionData, done?: Done): void {
    answer(() => this.#sessions.touch(id, session), done)
  }

  override destroy(id: string, done?: Done): void {
    answer(() => this.#sessions.destroy(id), done)
  }
}
