/**
 * Hash slots as sorted, disjoint ranges. A cluster has 16384 slots and few ranges, so everything here works on
 * ranges and never on single slots.
 */
export type SlotRange = readonly [from: number, to: number]

export const slotCountTotal = 16384

/** Slots in these ranges. */
export function countSlots(ranges: readonly SlotRange[]): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0)
}

/** Each of them, one by one: for what is asked or done slot by slot. */
export const slotsIn = (ranges: readonly SlotRange[]): number[] =>
  ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index))

/** Sorted and merged, so that equal sets of slots are equal values. */
export function normalizeSlots(ranges: readonly SlotRange[]): SlotRange[] {
  const merged: [number, number][] = []
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1)
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else merged.push([from, to])
  }
  return merged
}

/** The slots of `ranges` that are not in `taken`. */
export function subtractSlots(ranges: readonly SlotRange[], taken: readonly SlotRange[]): SlotRange[] {
  let left = normalizeSlots(ranges)
  for (const [from, to] of taken) {
    left = left.flatMap((range): SlotRange[] => {
      if (to < range[0] || from > range[1]) return [range]
      const before: SlotRange[] = from > range[0] ? [[range[0], from - 1]] : []
      const after: SlotRange[] = to < range[1] ? [[to + 1, range[1]]] : []
      return [...before, ...after]
    })
  }
  return left
}

/** Slots of the whole space that nobody in `owned` has. */
export function missingSlots(owned: readonly SlotRange[]): SlotRange[] {
  return subtractSlots([[0, slotCountTotal - 1]], owned)
}

/** One contiguous range a shard, sizes differing by at most one. */
export function evenSlots(shardCount: number): SlotRange[] {
  return Array.from({ length: shardCount }, (_, index): SlotRange => {
    const from = Math.round((index * slotCountTotal) / shardCount)
    const to = Math.round(((index + 1) * slotCountTotal) / shardCount) - 1
    return [from, to]
  })
}

/** `0-5460,5462`: as the engine prints them. */
export function formatSlots(ranges: readonly SlotRange[]): string {
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',')
}

export const hasSlot = (ranges: readonly SlotRange[], slot: number): boolean =>
  ranges.some(([from, to]) => from <= slot && slot <= to)

/** Which slot a key belongs to: CRC16 (XMODEM) of its bytes, or of those of its hash tag, in 14 bits. */
export function slotOf(key: string): number {
  const open = key.indexOf('{')
  const close = key.indexOf('}', open + 1)
  // Only the first pair of braces counts, and an empty one does not.
  const hashed = open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key
  let crc = 0
  for (const byte of bytesOf(hashed)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  return crc % slotCountTotal
}

/** UTF-8, which the bare language writes as `%E2%82%AC` only. Half a character is not one, and becomes U+FFFD. */
function bytesOf(text: string): number[] {
  const parts = encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd')).match(/%[0-9A-F]{2}|[^%]/g) ?? []
  return parts.map((part) => (part.length === 3 ? Number.parseInt(part.slice(1), 16) : part.charCodeAt(0)))
}
