import type { Grant } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import type { Settings } from './store.ts'

/** A person who signs in. */
export interface User {
  readonly name: string
  /** Of the password, as `hashPassword` made it. */
  readonly hash: string
  readonly grants: readonly Grant[]
  /** Wall clock, ms since 1970. */
  readonly createdAt: number
}

/** What a program shows instead of a password. */
export interface ApiToken {
  /** Part of the token, and no secret. */
  readonly id: string
  readonly name: string
  /** SHA-256 of the whole token in hex: 256 random bits need no slow hash. */
  readonly hash: string
  readonly grants: readonly Grant[]
  /** Null: all that its grants allow. `topology`: only the feed of topology changes. */
  readonly scope: 'topology' | null
  readonly createdBy: string
  readonly createdAt: number
  readonly expiresAt: number
}

const userPrefix = 'user/'
const tokenPrefix = 'api-token/'
const targetsKey = 'allowed-targets'

/**
 * Who may ask the controllers of a home for what. Nothing is remembered here: what is taken away is gone at once,
 * whichever controller took it away.
 */
export class Access {
  readonly #settings: Settings

  constructor(settings: Settings) {
    this.#settings = settings
  }

  users(): User[] {
    return this.#all(userPrefix) as User[]
  }

  user(name: string): User | undefined {
    return this.#read(userPrefix + name) as User | undefined
  }

  /** False where there is one of that name. */
  addUser(user: User): Promise<boolean> {
    return this.#settings.swap(userPrefix + user.name, undefined, JSON.stringify(user))
  }

  /** Throws SPEC_CONFLICT where `before` is not what is there. */
  async changeUser(before: User, after: User | undefined): Promise<void> {
    await this.#swap(userPrefix + before.name, before, after)
  }

  /** The oldest first. */
  tokens(): ApiToken[] {
    return (this.#all(tokenPrefix) as ApiToken[]).sort((a, b) => a.createdAt - b.createdAt)
  }

  token(id: string): ApiToken | undefined {
    return this.#read(tokenPrefix + id) as ApiToken | undefined
  }

  async addToken(token: ApiToken): Promise<void> {
    await this.#swap(tokenPrefix + token.id, undefined, token)
  }

  async removeToken(token: ApiToken): Promise<void> {
    await this.#swap(tokenPrefix + token.id, token, undefined)
  }

  /** Addresses inside that callers of the API may have connected to, as `10.0.0.0/8`. */
  targets(): readonly string[] {
    return (this.#read(targetsKey) ?? []) as string[]
  }

  async setTargets(before: readonly string[], after: readonly string[]): Promise<void> {
    const isFirst = this.#settings.get(targetsKey) === undefined
    await this.#swap(targetsKey, isFirst ? undefined : before, [...after].sort())
  }

  #all(prefix: string): unknown[] {
    return this.#settings.keys(prefix).flatMap((key) => this.#read(key) ?? [])
  }

  /** We wrote it ourselves. */
  #read(key: string): unknown {
    const text = this.#settings.get(key)
    return text === undefined ? undefined : JSON.parse(text)
  }

  async #swap(key: string, before: unknown, after: unknown): Promise<void> {
    if (await this.#settings.swap(key, textOf(before), textOf(after))) return
    throw new HoldfastError('SPEC_CONFLICT', 'somebody else has just changed the same: look again, and repeat it')
  }
}

const textOf = (value: unknown): string | undefined => (value === undefined ? undefined : JSON.stringify(value))
