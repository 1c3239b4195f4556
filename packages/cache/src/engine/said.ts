/**
 * What somebody outside says of shards, weighed against what is known. Nothing of it is believed: it says whom to ask
 * at once, whom to connect to, and who may be gone. So a word that is old, late or a lie costs a question.
 */
import { nameOfAddress } from './node.ts'
import type { Address, Layout, Shard } from './topology.ts'

export interface Said {
  /** Inclusive ranges; one over all slots, or none, where there is no Cluster. */
  readonly slots: readonly (readonly [from: number, to: number])[]
  /** Null while nobody takes writes. */
  readonly primary: Address | null
  /** Another one is becoming the primary. */
  readonly changing: boolean
}

export interface Weighed {
  /** Nodes that we know as copies and that are said to be primaries. */
  readonly ask: readonly Address[]
  /** Copies of shards that are about to change: one of them is needed in a moment. */
  readonly open: readonly Address[]
  /** Primaries that are said to be gone. */
  readonly doubt: readonly Address[]
  /** A primary is named that nobody has told us of: time for a look. */
  readonly strange: boolean
}

export function weighSaid(said: readonly Said[], layout: Layout): Weighed {
  const members = new Set(layout.shards.flatMap(({ primary, replicas }) => [primary, ...replicas].map(named)))
  const ask = new Map<string, Address>()
  const open = new Map<string, Address>()
  const doubt = new Map<string, Address>()
  let strange = false
  for (const { slots, primary, changing } of said) {
    const known = shardsOf(slots, layout)
    if (primary !== null && known.some((shard) => named(shard.primary) !== named(primary))) {
      if (members.has(named(primary))) ask.set(named(primary), primary)
      else strange = true
    }
    if (!changing) continue
    for (const shard of known) {
      for (const replica of shard.replicas) open.set(named(replica), replica)
      if (primary === null && shard.primary !== null) doubt.set(named(shard.primary), shard.primary)
    }
  }
  return { ask: [...ask.values()], open: [...open.values()], doubt: [...doubt.values()], strange }
}

/** Whose slots these are, as far as we know. */
function shardsOf(slots: Said['slots'], { shards }: Layout): readonly Shard[] {
  if (shards.length === 1) return shards
  return shards.filter((shard) =>
    slots.some(([from, to]) => shard.slots.some(([first, last]) => from <= last && first <= to)),
  )
}

const named = (address: Address | null): string => (address === null ? '' : nameOfAddress(address))
