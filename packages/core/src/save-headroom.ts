import { formatBytes } from './units.ts'

/**
 * A snapshot and a rewritten log are made by a child that shares the engine's memory. Each page that is written to
 * meanwhile is copied, so a busy engine needs up to its own size again; where there is no room, the kernel ends
 * somebody, and as a rule the engine.
 */

/** How much of an engine may be written to while its child is at work. Half is what a cache under heavy writes needs. */
const writtenShare = 0.5

/** For the child itself, and for what is written meanwhile. */
const besideBytes = 16 * 1024 ** 2

export interface SaveHeadroom {
  readonly usedBytes: number
  /** What the host, or the tightest control group of the engine, has left; null: not known. */
  readonly freeBytes: number | null
}

/** Why no save should be begun now; null: there is room, or nobody knows how much there is. */
export function lacksHeadroom({ usedBytes, freeBytes }: SaveHeadroom): string | null {
  const neededBytes = Math.ceil(usedBytes * writtenShare) + besideBytes
  if (freeBytes === null || freeBytes >= neededBytes) return null
  return `a save needs ${formatBytes(neededBytes)} of memory for what is written meanwhile, and ${formatBytes(freeBytes)} are free`
}
