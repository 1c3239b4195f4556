import { createHash } from 'node:crypto'
import type { EngineLink } from '../engine/link.ts'

/** How often an engine is asked for the directives that Holdfast owns. */
const everyMs = 2000

/** What an engine says of its own settings. What it was not asked since something was set is not known. */
export class Settings {
  #config: Readonly<Record<string, string>> | null = null
  #usersDigest: string | null = null
  #readAt = Number.NEGATIVE_INFINITY

  /** The directives that Holdfast owns. */
  get config(): Readonly<Record<string, string>> | null {
    return this.#config
  }

  /** A digest of who may sign in. */
  get usersDigest(): string | null {
    return this.#usersDigest
  }

  isDue(now: number): boolean {
    return now - this.#readAt >= everyMs
  }

  /** Asks for all of it at once; answers what else was asked with it. */
  async read(link: EngineLink, names: readonly string[], at: number) {
    const questions = [...names, 'masterauth'].map((name) => ['CONFIG', 'GET', name])
    const replies = await link.pipeline([...questions, ['INFO', 'server'], ['ACL', 'LIST']])
    const [users, server] = [replies.pop(), replies.pop()]
    const [, signsInWith] = pairOf(replies.pop())
    this.#config = Object.fromEntries(replies.flatMap((reply) => [pairOf(reply)]).filter(([name]) => name !== ''))
    this.#usersDigest = createHash('sha256').update(JSON.stringify(users)).digest('hex')
    this.#readAt = at
    return { users, server, signsInWith }
  }

  /** A directive was set: they are asked for at the next chance. */
  forgetConfig(): void {
    this.#config = null
    this.#readAt = Number.NEGATIVE_INFINITY
  }

  forgetUsers(): void {
    this.#usersDigest = null
    this.#readAt = Number.NEGATIVE_INFINITY
  }
}

/** `CONFIG GET name` answers a list of one pair, or nothing where the engine has no such directive. */
function pairOf(reply: unknown): [string, string] {
  const [name, value] = Array.isArray(reply) ? reply : []
  return [String(name ?? ''), String(value ?? '')]
}
