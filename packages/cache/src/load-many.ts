/** Loads of single keys that come in one tick, made into one load of many. */
import { CacheError } from './errors.ts'
import type { Loader, LoaderContext } from './loader.ts'

export interface ManyLoaderContext {
  /** Aborted when none of the keys is waited for any more. */
  readonly signal: AbortSignal
}

/** Brings many values: in the order of the keys, or by key. What is left out is `undefined`: there is no such thing. */
export type ManyLoader<T> = (
  keys: readonly string[],
  context: ManyLoaderContext,
) => Promise<readonly T[] | ReadonlyMap<string, T>> | readonly T[] | ReadonlyMap<string, T>

interface Wanted<T> {
  readonly key: string
  readonly signal: AbortSignal
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

export function collectLoads<T>(loadMany: ManyLoader<T>): Loader<T> {
  let wanted: Wanted<T>[] = []
  const leave = (): void => {
    const all = wanted
    wanted = []
    void loadAll(loadMany, all)
  }
  return ({ key, signal }: LoaderContext<T>) =>
    new Promise<T>((resolve, reject) => {
      if (wanted.length === 0) queueMicrotask(() => process.nextTick(leave))
      wanted.push({ key, signal, resolve, reject })
    })
}

async function loadAll<T>(loadMany: ManyLoader<T>, wanted: readonly Wanted<T>[]): Promise<void> {
  const keys = wanted.map(({ key }) => key)
  try {
    const signal = allOf(wanted.map((one) => one.signal))
    const loaded = await loadMany(keys, { signal })
    if (Array.isArray(loaded) && loaded.length !== keys.length) {
      const facts = { wanted: keys.length, got: loaded.length }
      throw new CacheError('INVALID', `the loader answered ${facts.got} values for ${facts.wanted} keys`, facts)
    }
    wanted.forEach(({ key, resolve }, index) => {
      resolve((loaded instanceof Map ? loaded.get(key) : (loaded as readonly T[])[index]) as T)
    })
  } catch (error) {
    for (const { reject } of wanted) reject(error)
  }
}

/** Aborted when all of them are. */
function allOf(signals: readonly AbortSignal[]): AbortSignal {
  const controller = new AbortController()
  let left = signals.length
  for (const signal of signals) {
    const end = (): void => {
      left--
      if (left === 0) controller.abort(signal.reason)
    }
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  }
  return controller.signal
}
