/**
 * One copy of a shard's data: a prefix of a list of write numbers. Copies that replicate share the list and differ
 * in length only, which makes replication and comparison cheap; the first write after two copies parted splits it.
 */
export interface Copy {
  writes: number[]
  length: number
}

export const emptyCopy = (): Copy => ({ writes: [], length: 0 })

export const cloneCopy = (copy: Copy): Copy => ({ writes: copy.writes, length: copy.length })

export function appendWrite(copy: Copy, write: number): void {
  if (copy.writes.length !== copy.length) copy.writes = copy.writes.slice(0, copy.length)
  copy.writes.push(write)
  copy.length++
}

/** The writes of `from` that `copy` does not have. */
export function writesMissing(copy: Copy, from: Copy): number[] {
  if (copy.writes === from.writes) return from.writes.slice(Math.min(copy.length, from.length), from.length)
  const had = new Set(copy.length === copy.writes.length ? copy.writes : copy.writes.slice(0, copy.length))
  return from.writes.slice(0, from.length).filter((write) => !had.has(write))
}
