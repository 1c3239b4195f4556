/** Keys of one slot that are sent by one command, and which parcels go together. */
import { costOf } from './pace.ts'

export interface SizedKey {
  readonly key: Buffer
  readonly bytes: number
}

export interface Parcel {
  readonly slot: number
  readonly keys: readonly SizedKey[]
  readonly bytes: number
}

/** A key of more than this is sent alone. */
export const aloneAboveBytes = 1024 * 1024
const keysMax = 100
const bytesMax = aloneAboveBytes

/** The keys of a slot in parcels; a big key has one of its own. */
export function parcelsOf(slot: number, keys: readonly SizedKey[]): Parcel[] {
  const parcels: { slot: number; keys: SizedKey[]; bytes: number }[] = []
  for (const one of [...keys].sort((a, b) => a.bytes - b.bytes)) {
    const last = parcels.at(-1)
    if (last !== undefined && last.keys.length < keysMax && last.bytes + one.bytes <= bytesMax) {
      last.keys.push(one)
      last.bytes += one.bytes
    } else parcels.push({ slot, keys: [one], bytes: one.bytes })
  }
  return parcels
}

/** The first of these parcels that together cost no more than `pace`: one at least, and a big one alone. */
export function nextGroup(parcels: readonly Parcel[], pace: number): Parcel[] {
  const group: Parcel[] = []
  let cost = 0
  let bytes = 0
  for (const parcel of parcels) {
    cost += costOf(parcel.keys.length)
    bytes += parcel.bytes
    if (group.length > 0 && (cost > pace || bytes > bytesMax)) break
    group.push(parcel)
  }
  return group
}
