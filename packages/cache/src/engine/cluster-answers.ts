/**
 * What nodes of a Cluster say of it, read and weighed.
 *
 * Nodes do not agree all the time, and the engine has a rule for that: whoever takes over slots does so with a higher
 * configuration epoch than anybody before. So the answer with the highest one tells of the latest takeover. (The
 * current epoch would not do: a mere candidacy raises it, also where nobody has heard yet who won.) Slots can move to
 * a node that has the highest epoch already. Then two answers of one epoch differ, and only those who give or get the
 * slot are believed.
 */
import type { Argument } from './engine.ts'
import { slotCount } from './slots.ts'
import type { Address, Layout, Shard } from './topology.ts'

export interface ClusterAnswer {
  readonly layout: Layout
  /** The node itself thinks that the Cluster works. One that was cut off says no. */
  readonly ok: boolean
  /** How the node that answered is named in the layout. */
  readonly self: string | undefined
}

export const clusterQuestion: readonly (readonly Argument[])[] = [
  ['CLUSTER', 'SLOTS'],
  ['CLUSTER', 'INFO'],
  ['CLUSTER', 'NODES'],
]

interface SlotNode {
  readonly address: Address
  readonly id: string
}

/** Undefined for anything that is no answer to the question above. */
export function readClusterAnswer(replies: readonly unknown[], asked: Address): ClusterAnswer | undefined {
  const [slots, info, nodes] = replies
  if (!Array.isArray(slots) || typeof info !== 'string') return undefined
  const shards = new Map<string, { primary: Address; replicas: Address[]; slots: [number, number][] }>()
  const ids = new Map<string, string>()
  const epochs = epochsIn(nodes)
  let epoch = epochs.size === 0 ? Number(/^cluster_current_epoch:(\d+)/m.exec(info)?.[1] ?? 0) : 0
  for (const range of slots) {
    if (!Array.isArray(range)) return undefined
    const [from, to, ...members] = range as unknown[]
    const [primary, ...replicas] = members.flatMap((member) => nodeIn(member, asked) ?? [])
    if (primary === undefined || !isSlot(from) || !isSlot(to)) return undefined
    const name = addressName(primary.address)
    for (const { id, address } of [primary, ...replicas]) ids.set(id, addressName(address))
    epoch = Math.max(epoch, epochs.get(primary.id) ?? 0)
    const shard = shards.get(name)
    if (shard === undefined) {
      const copies = replicas.map(({ address }) => address)
      shards.set(name, { primary: primary.address, replicas: copies, slots: [[from, to]] })
    } else shard.slots.push([from, to])
  }
  if (shards.size === 0) return undefined
  const myself = typeof nodes === 'string' ? /^(\S+) \S+ \S*myself/m.exec(nodes)?.[1] : undefined
  return {
    // In one order, so that equal layouts look equal.
    layout: { shards: [...shards.values()].map(inOrder).sort((a, b) => firstSlot(a) - firstSlot(b)), epoch },
    ok: /^cluster_state:ok/m.test(info),
    self: myself === undefined ? undefined : ids.get(myself),
  }
}

/** Whether the answer tells something better than what is known. */
export function isBetter(answer: ClusterAnswer, known: Layout): boolean {
  if (!answer.ok) return false
  if (answer.layout.epoch !== known.epoch) return answer.layout.epoch > known.epoch
  // Nearly always, and several times a second while something looks wrong: slots need not be compared one by one.
  if (JSON.stringify(answer.layout) === JSON.stringify(known)) return false
  const before = ownersOf(known)
  const after = ownersOf(answer.layout)
  let differs = false
  for (let slot = 0; slot < slotCount; slot++) {
    if (before[slot] === after[slot]) continue
    differs = true
    if (answer.self !== undefined && (before[slot] === answer.self || after[slot] === answer.self)) return true
  }
  // Nobody but replicas came or went: what was said last is right.
  return !differs
}

function ownersOf({ shards }: Layout): readonly string[] {
  const owners: string[] = Array.from({ length: slotCount }, () => '')
  for (const { primary, slots } of shards) {
    if (primary === null) continue
    for (const [from, to] of slots) owners.fill(addressName(primary), from, to + 1)
  }
  return owners
}

/** `[host, port, id, …]`. Without a host it is the one that was asked. */
function nodeIn(member: unknown, asked: Address): SlotNode | undefined {
  if (!Array.isArray(member)) return undefined
  const [host, port, id] = member as unknown[]
  if (typeof port !== 'number' || port < 1 || port > 65_535) return undefined
  const isNamed = typeof host === 'string' && host !== '' && host !== '?'
  return { address: { host: isNamed ? host : asked.host, port }, id: String(id) }
}

/** The configuration epoch of each node by its id; none where the engine does not tell. */
function epochsIn(nodes: unknown): ReadonlyMap<string, number> {
  if (typeof nodes !== 'string') return new Map()
  const lines = nodes.split('\n').map((line) => line.split(' '))
  return new Map(lines.flatMap((fields) => (fields.length < 8 ? [] : [[fields[0] ?? '', Number(fields[6])] as const])))
}

function inOrder({ primary, replicas, slots }: Shard): Shard {
  return {
    primary,
    replicas: [...replicas].sort((a, b) => (addressName(a) < addressName(b) ? -1 : 1)),
    slots: [...slots].sort(([a], [b]) => a - b),
  }
}

const isSlot = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value < slotCount
const firstSlot = ({ slots }: Shard): number => slots[0]?.[0] ?? 0
const addressName = ({ host, port }: Address): string => `${host}:${port}`
