import type { Clock } from './clock.ts'
import type { Duration } from './duration.ts'
import { CacheError } from './errors.ts'

/** A loader's word that the stale value it was shown is still right: it gets a new life without having been read again. */
export const unchanged: unique symbol = Symbol('unchanged')

export interface LoaderContext<T> {
  readonly key: string
  /** Aborted when the load is given up: at its hard deadline, or when the cache is closed. */
  readonly signal: AbortSignal
  /** What was there before, for a conditional read of the source (ETag, updated_at). */
  readonly stale: { readonly value: T; readonly ageMs: number } | undefined
  /** Return it to say that `stale` is still right. */
  readonly unchanged: typeof unchanged
  /** Another `ttl` than was said, for what only the source knows, such as the life of a token. */
  readonly keepFor: (ttl: Duration | 'forever') => void
}

/** Brings a value from the source. `undefined`: there is no such thing. What it throws comes to all who wait, as it is. */
export type Loader<T> = (context: LoaderContext<T>) => Promise<T | typeof unchanged> | T | typeof unchanged

/** Runs a loader until its hard deadline, even one that does not listen to its signal. */
export async function runLoader<T>(
  loader: Loader<T>,
  context: Omit<LoaderContext<T>, 'signal' | 'unchanged'>,
  { clock, withinMs, closing }: { readonly clock: Clock; readonly withinMs: number; readonly closing: AbortSignal },
): Promise<T | typeof unchanged> {
  const controller = new AbortController()
  const { signal } = controller
  let cancel: () => void = () => {}
  let close: () => void = () => {}
  const givenUp = new Promise<never>((_, reject) => {
    const giveUp = (error: CacheError): void => {
      reject(error)
      controller.abort(error)
    }
    cancel = clock.after(withinMs, () => giveUp(tooLong(context.key, withinMs)))
    close = () => giveUp(new CacheError('CLOSED', 'the cache was closed while a value was loaded'))
    if (closing.aborted) close()
    else closing.addEventListener('abort', close, { once: true })
  })
  // When the loader is first, nobody hears of this any more.
  givenUp.catch(() => {})
  try {
    const loaded = Promise.resolve(loader({ ...context, signal, unchanged }))
    return await Promise.race([loaded, givenUp])
  } finally {
    cancel()
    closing.removeEventListener('abort', close)
  }
}

function tooLong(key: string, withinMs: number): CacheError {
  return new CacheError('LOADER_TIMEOUT', `the loader of ${JSON.stringify(key)} was given up after ${withinMs} ms`, {
    key,
    withinMs,
  })
}
