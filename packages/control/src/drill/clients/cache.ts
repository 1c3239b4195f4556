import type { Cache } from '@holdfast/cache'
import { CacheError, type CacheErrorCode, createCache } from '@holdfast/cache'
import type { Outcome } from '@holdfast/core'
import { urlFor } from '@holdfast/core'
import type { DrillClient, Where, Wrote } from './client.ts'
import { done, keysLiveMs } from './client.ts'

/** Our own client, as its documentation shows it. `durable`: a write counts once a replica has it. */
export const ownCache = (where: Where, { durable }: { durable: boolean }): DrillClient =>
  new CacheClient(where, durable)

class CacheClient implements DrillClient {
  readonly #cache: Cache

  constructor(where: Where, durable: boolean) {
    const url = urlFor('holdfast', where, { showSecret: true })
    const tls = where.authority == null ? {} : { tls: { ca: where.authority } }
    this.#cache = createCache({ url, ...tls, namespace: 'holdfast-drill', local: false, direct: { durable } })
  }

  key(tag: string, name: string): string {
    return this.#cache.on(tag).key(name)
  }

  async write(tag: string, name: string, value: string): Promise<Wrote> {
    try {
      await this.#cache.on(tag).set(name, value, { ttl: keysLiveMs })
      return done
    } catch (error) {
      if (!(error instanceof CacheError)) return { outcome: 'indeterminate', said: String(error) }
      return { outcome: outcomeOf(error.code), said: error.code }
    }
  }

  close(): void {
    // It waits for what is under way; nobody here does any more.
    this.#cache.close().catch(() => {})
  }
}

/** Each code promises whether anything was changed (docs/cache/errors.md); the checker holds it to that. */
function outcomeOf(code: CacheErrorCode): Outcome {
  switch (code) {
    case 'UNAVAILABLE':
    case 'REFUSED':
    case 'DENIED':
    case 'OVERLOADED':
    case 'INVALID':
    case 'TOO_LARGE':
    case 'UNENCODABLE':
      return 'failed'
    case 'INDETERMINATE':
    case 'LOADER_TIMEOUT':
    case 'ABORTED':
    case 'CLOSED':
      return 'indeterminate'
    default:
      return code satisfies never
  }
}
