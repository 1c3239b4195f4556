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
    const valueOf = reader(loaded, keys.length)
    wanted.forEach(({ key, resolve }, index) => resolve(valueOf(key, index) as T))
  } catch (error) {
    for (const { reject } of wanted) reject(error)
  }
}

/** What was loaded, by key or by place. Anything else would make every key look as if there were no such thing. */
function reader(loaded: unknown, wanted: number): (key: string, index: number) => unknown {
  if (loaded instanceof Map) return (key) => loaded.get(key) as unknown
  if (!Array.isArray(loaded)) {
    throw new CacheError('INVALID', 'a loader of many answers an array in the order of the keys, or a Map by key')
  }
  const got = loaded.length
  if (got !== wanted) {
    throw new CacheError('INVALID', `the loader answered ${got} values for ${wanted} keys`, { wanted, got })
  }
  return (_, index) => loaded[index] as unknown
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
