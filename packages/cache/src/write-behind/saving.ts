/**
 * Saves a batch, and when that fails finds out whose fault it is.
 *
 * One value that the store will never take must not hold up ninety-nine others, and a store that is away must not get
 * every key put aside. So a batch that failed is halved until a key fails alone. It is blamed only if there is proof
 * that the store works: another key of the batch was saved, or, where there was no other, the store could still be
 * read. Two keys that fail alone while nothing succeeds mean that the store is away, and nobody is blamed.
 */
import { CacheError } from '../errors.ts'

export interface SavePorts<E> {
  /** Saves all of them or throws. */
  save(entries: readonly E[]): Promise<void>
  /** Whether the store answers at all. */
  answers(entry: E): Promise<boolean>
}

export interface Saved<E> {
  readonly stored: readonly E[]
  readonly blamed: readonly { readonly entry: E; readonly error: unknown }[]
  /** Why the store is thought to be away: what is in neither list was not saved for that reason. */
  readonly away: { readonly error: unknown } | undefined
}

export interface SaveTerms {
  /** The store took nothing the last time: two keys go ahead of the others. */
  readonly careful: boolean
  readonly random: () => number
}

export async function saveBatch<E>(
  entries: readonly E[],
  ports: SavePorts<E>,
  { careful, random }: SaveTerms,
): Promise<Saved<E>> {
  const stored: E[] = []
  const failed: { entry: E; error: unknown }[] = []
  let away: { readonly error: unknown } | undefined

  const attempt = async (part: readonly E[]): Promise<void> => {
    if (away !== undefined || part.length === 0) return
    try {
      await ports.save(part)
      stored.push(...part)
    } catch (error) {
      const [entry] = part
      // A save that came to no end tells nothing of the values, and another try would take as long.
      if (cameToNoEnd(error)) away = { error }
      else if (part.length === 1 && entry !== undefined) {
        failed.push({ entry, error })
        if (stored.length === 0 && failed.length === 2) away = { error }
      } else {
        const half = Math.ceil(part.length / 2)
        await attempt(part.slice(0, half))
        await attempt(part.slice(half))
      }
    }
  }

  if (careful && entries.length > 1) {
    // Two that are drawn by chance, and others the next time: those that the store will never take are not always in front.
    const drawn = shuffled(entries, random)
    await attempt(drawn.slice(0, 1))
    await attempt(drawn.slice(1, 2))
    await attempt(drawn.slice(2))
  } else await attempt(entries)

  const [lone] = failed
  if (away === undefined && stored.length === 0 && lone !== undefined && !(await ports.answers(lone.entry))) {
    away = { error: lone.error }
  }
  // Without a success there is no proof, except for a lone key whose store could be read.
  const proven = stored.length > 0 || away === undefined
  return { stored, blamed: proven ? failed : [], away }
}

function shuffled<E>(entries: readonly E[], random: () => number): readonly E[] {
  const drawn = [...entries]
  for (let last = drawn.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    ;[drawn[last], drawn[other]] = [drawn[other] as E, drawn[last] as E]
  }
  return drawn
}

const endings = new Set<string>(['LOADER_TIMEOUT', 'ABORTED', 'CLOSED'])

function cameToNoEnd(error: unknown): boolean {
  return error instanceof CacheError && endings.has(error.code)
}

/** Exponential with full jitter: anywhere from nothing to a bound that doubles with every try. `tries` from 0. */
export function pauseMs(tries: number, { from, upTo }: { from: number; upTo: number }, random: number): number {
  return Math.ceil(random * Math.min(upTo, from * 2 ** Math.min(tries, 40)))
}
