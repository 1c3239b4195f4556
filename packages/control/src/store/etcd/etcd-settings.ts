import { seal, unseal } from '../seal.ts'
import { settingLabel } from '../sqlite-settings.ts'
import type { Settings } from '../store.ts'
import type { Mirror } from './mirror.ts'

export class EtcdSettings implements Settings {
  readonly #mirror: Mirror
  readonly #key: Buffer

  constructor(mirror: Mirror, key: Buffer) {
    this.#mirror = mirror
    this.#key = key
  }

  get(key: string): string | undefined {
    const entry = this.#mirror.get(keyOf(key))
    return entry === undefined ? undefined : unseal(this.#key, settingLabel(key), entry.value)
  }

  keys(prefix: string): string[] {
    return this.#mirror.under(keyOf(prefix)).map(({ name }) => prefix + name)
  }

  async swap(key: string, before: string | undefined, after: string | undefined): Promise<boolean> {
    if (this.get(key) !== before) {
      await this.#mirror.readAll()
      if (this.get(key) !== before) return false
    }
    const sealed = after === undefined ? undefined : seal(this.#key, settingLabel(key), after)
    return this.#mirror.write(keyOf(key), sealed)
  }
}

const keyOf = (key: string): string => `settings/${key}`
