/**
 * Whether a load balancer may send clients to a node, by what was last seen. What is old, what was not seen and what
 * nobody can tell is a no with its reason: a wrong yes sends writes to an engine that will lose them.
 */
import type { NodeStatus, Status } from './status.ts'
import { bytes, duration, formatBytes, formatDuration } from './units.ts'

export const healthQuestions = ['primary', 'replica', 'read-only', 'alive'] as const
export type HealthQuestion = (typeof healthQuestions)[number]

/** How far behind a replica may be, in bytes, or by the time since its primary last had its acknowledgement. */
export type LagLimit = { readonly bytes: number } | { readonly ms: number }

export interface Health {
  readonly healthy: boolean
  readonly because: string
}

/** After this long without a look nobody knows any more. A turn is a second, and a look at a silent node 300 ms. */
const knownForMs = 3000

/** `1s` and `500ms` are a time, `1mb` and `4096` a size; undefined: neither. */
export function parseLagLimit(text: string): LagLimit | undefined {
  const time = duration.safeParse(text)
  if (time.success) return { ms: time.data }
  const size = bytes.safeParse(text)
  return size.success ? { bytes: size.data } : undefined
}

/** `agoMs`: how long ago the status was told, by a clock that may have been set meanwhile. `limit` counts for replicas alone. */
export function judgeHealth(
  status: Status,
  node: NodeStatus,
  question: HealthQuestion,
  { agoMs, limit = null }: { readonly agoMs: number; readonly limit?: LagLimit | null },
): Health {
  const seenAgoMs = node.seenAt === null ? agoMs : agoMs + Math.max(0, status.observedAt - node.seenAt)
  if (Math.abs(agoMs) > knownForMs) return no(`unknown: nobody has looked for ${formatDuration(Math.abs(agoMs))}`)
  switch (question) {
    case 'alive':
      return judgeAlive(node)
    case 'primary':
      return unseen(node, seenAgoMs) ?? judgePrimary(status, node)
    case 'replica':
      return unseen(node, seenAgoMs) ?? judgeReplica(status, node, limit)
    case 'read-only': {
      const known = unseen(node, seenAgoMs)
      if (known !== null) return known
      const primary = judgePrimary(status, node)
      return primary.healthy || node.role !== 'replica' ? primary : judgeReplica(status, node, limit)
    }
    default:
      return question satisfies never
  }
}

/** Loading and busy are answers: who restarts such an engine makes it worse. */
function judgeAlive({ id, state }: NodeStatus): Health {
  return ['ok', 'syncing', 'starting', 'busy'].includes(state) ? yes(`${id} is ${state}`) : no(`${id} is ${state}`)
}

function unseen({ id, state, fence }: NodeStatus, seenAgoMs: number): Health | null {
  if (fence !== null) return no(`${id} is fenced: ${fence.reason}`)
  if (state !== 'ok') return no(`${id} is ${state}`)
  return seenAgoMs > knownForMs ? no(`unknown: ${id} was last seen ${formatDuration(seenAgoMs)} ago`) : null
}

/** Two nodes can say to be primary at once; the one that counts is the shard's, and only its controller's word counts. */
function judgePrimary({ controller, shards }: Status, { id, shard, role }: NodeStatus): Health {
  if (controller.lease !== 'held') return no('unknown: the controller that answers does not keep this deployment')
  const primary = shards.find((one) => one.id === shard)?.primary ?? null
  if (primary === id && role === 'primary') return yes(`${id} is primary of ${shard}`)
  if (primary === null) return no(`nobody is known to be primary of ${shard}`)
  return no(primary === id ? `${id} is not primary yet` : `${primary} is primary of ${shard}`)
}

function judgeReplica({ shards }: Status, node: NodeStatus, limit: LagLimit | null): Health {
  const { id, shard, role, link, lag, ackAgeSeconds } = node
  if (role !== 'replica') return no(`${id} is no replica`)
  if (link !== 'up') return no(`${id} has lost its link`)
  const primary = shards.find((one) => one.id === shard)?.primary ?? null
  if (primary === null) return no(`nobody is known to be primary of ${shard}`)
  if (limit === null) return yes(`${id} is a replica of ${shard}`)
  if ('bytes' in limit) {
    if (lag === null) return no(`unknown: nobody knows how far ${id} is behind`)
    return { healthy: lag <= limit.bytes, because: `${id} is ${formatBytes(lag)} behind` }
  }
  if (ackAgeSeconds === null) return no(`unknown: ${primary} has had no acknowledgement of ${id}`)
  // Engines count whole seconds, and a replica acknowledges once a second: less than one cannot be told.
  const because = `${id} was last acknowledged ${formatDuration(ackAgeSeconds * 1000)} ago`
  return { healthy: ackAgeSeconds * 1000 <= Math.max(1000, limit.ms), because }
}

const yes = (because: string): Health => ({ healthy: true, because })
const no = (because: string): Health => ({ healthy: false, because })
