/** What it means to take a host off a deployment, in words, and what speaks against it: said before anything is edited. */
import { roomsOf } from './placement/hosting.ts'
import type { Spec } from './spec.ts'
import { copiesOfShard } from './spec.ts'
import type { NodeStatus, SentinelStatus, Status } from './status.ts'

/** Whether those left can keep the copies of a shard apart; a spec of one host alone promises nothing of that. */
export function objectionToHostsLeft(spec: Spec): string | null {
  const left = roomsOf(spec).length
  const copies = Math.max(...Array.from({ length: spec.shards }, (_, index) => copiesOfShard(spec, index + 1)))
  if (spec.placement.spread === 'none' || copies <= left) return null
  return `a shard has ${copies} copies, and ${left} ${left === 1 ? 'host is' : 'hosts are'} left for them: add a host first, want fewer copies, or accept two on one host with placement.spread: none`
}

export interface TakeOffPreview {
  readonly lines: readonly string[]
  /** Null: it may be taken off. */
  readonly objection: string | null
}

export function previewTakeOff(host: string, status: Status): TakeOffPreview {
  const nodes = status.nodes.filter(({ hostId }) => hostId === host)
  const sentinels = status.sentinels.filter(({ hostId }) => hostId === host)
  const objection = objectionToTakeOff(host, status)
  if (objection !== null) return { lines: [], objection }
  if (nodes.length + sentinels.length === 0) return { lines: [`nothing of ${status.name} is on ${host}`], objection }
  const led = nodes.filter(({ id, shard }) => leaderOf(shard, status)?.id === id)
  const copies =
    nodes.length === 1 ? '1 copy is made anew' : `${nodes.length} copies are made anew, one after the other,`
  const goes = isHeard([...nodes, ...sentinels])
    ? `then what is on ${host} is stopped and forgotten by all, and its files are removed once nobody brings it back for 75 s`
    : `then all forget what was on ${host}; it does not answer, so its files stay on its disk`
  return {
    lines: [
      `on ${host}: ${[...nodes.map((node) => describe(node, status)), ...sentinels.map(({ id }) => id)].join(', ')}`,
      ...led.map(({ id, shard }) => `${id} hands ${shard} over to a copy in sync; nothing is lost`),
      ...(nodes.length === 0 ? [] : [`${copies} with all of the data, on the hosts left`]),
      goes,
    ],
    objection: null,
  }
}

function objectionToTakeOff(host: string, status: Status): string | null {
  const { name, topology, wanted, shards, sentinels, proxy } = status
  const nodes = status.nodes.filter(({ hostId }) => hostId === host)
  if (nodes.length > 0 && topology === 'standalone') {
    return `${nodes[0]?.id} on ${host} has the only copy of ${name}: back it up, and restore that into another deployment`
  }
  if (proxy?.hostId === host)
    return `the proxy of ${name} is on ${host}, and stays there: apply the spec without expose.proxy first`
  if (nodes.length + sentinels.filter(({ hostId }) => hostId === host).length === 0) return null
  if (sentinels.some(({ hostId }) => hostId === host))
    return `a Sentinel of ${name} is on ${host}, and Sentinels stay where they are`
  if (wanted === 'down') return `${name} is down, and nothing of it moves: bring it up first`
  const orphaned = shards.filter(
    ({ id }) => nodes.some(({ shard }) => shard === id) && !isAlive(leaderOf(id, status), host),
  )
  if (orphaned.length > 0) {
    const which = orphaned.map(({ id }) => id).join(', ')
    const has = orphaned.length === 1 ? 'has' : 'have'
    return `${which} of ${name} ${has} no living primary, and what is on ${host} may be the last copy: bring ${host} up once more`
  }
  return null
}

const leaderOf = (shard: string, { shards, nodes }: Status): NodeStatus | undefined => {
  const primary = shards.find(({ id }) => id === shard)?.primary
  return nodes.find(({ id }) => id === primary)
}

function describe(node: NodeStatus, status: Status): string {
  if (node.upstream !== undefined) return `${node.id} (chained in ${node.shard})`
  return `${node.id} (${leaderOf(node.shard, status) === node ? 'primary' : 'replica'} of ${node.shard})`
}

/** One that says nothing for a moment is no dead one, unless it is the host itself that says nothing. */
const isAlive = (primary: NodeStatus | undefined, host: string): boolean =>
  primary !== undefined &&
  (['ok', 'busy', 'starting'].includes(primary.state) || (primary.state === 'silent' && primary.hostId !== host))

/** Somebody there says something, and be it that an engine is dead. */
const isHeard = (those: readonly (NodeStatus | SentinelStatus)[]): boolean =>
  those.some(({ state }) => state !== 'silent' && state !== 'unknown')
