import type { FastifySessionOptions } from '@fastify/session'
import type { Cache } from '../cache.ts'
import { answer, type SessionOptions, Sessions } from './session.ts'

export type { SessionOptions } from './session.ts'

type Store = NonNullable<FastifySessionOptions['store']>
type Session = Parameters<Store['set']>[1]
type Done = (error?: unknown) => void

/**
 * Keeps the sessions of `@fastify/session`:
 *
 *     await app.register(fastifyCookie)
 *     await app.register(fastifySession, { store: new HoldfastStore(cache), secret })
 *
 * An error of the engine fails the request.
 */
export class HoldfastStore implements Store {
  readonly #sessions: Sessions

  constructor(cache: Pick<Cache, 'on'>, options: SessionOptions = {}) {
    this.#sessions = new Sessions(cache, options)
  }

  get(id: string, done: (error: unknown, session?: Session | null) => void): void {
    answer(async () => (await this.#sessions.get(id)) as Session | undefined, done)
  }

  set(id: string, session: Session, done: Done): void {
    answer(() => this.#sessions.set(id, session), done)
  }

  destroy(id: string, done: Done): void {
    answer(() => this.#sessions.destroy(id), done)
  }
}
