/**
 * Reads what a drill wrote, key by key, from the node that owns the slot and from every replica, with plain connections:
 * no client that retries, redirects or remembers stands in between. What could not be read stays unread.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { CopyRead, DrillOperation, KeyRead, NodeStatus, ShardStatus, Status, UserAccess } from '@holdfast/core'
import { EngineLink } from '../engine/link.ts'
import { keysLiveMs } from './clients/client.ts'

export interface ReadBackTerms extends UserAccess {
  /** A key's tag for each shard, where one more key may be written: the fence behind all writes. */
  readonly tags: ReadonlyMap<string, string>
  readonly drill: string
}

/** Who has which keys: of a status, what is read here. */
export interface Copies {
  readonly topology: Status['topology']
  readonly shards: readonly Pick<ShardStatus, 'id' | 'primary' | 'replicas'>[]
  readonly nodes: readonly Pick<NodeStatus, 'id' | 'host' | 'port'>[]
}

const keysAtOnce = 500
const pipelineWithinMs = 5000
const tries = 3
const fenceWithinMs = 5000

/** Reads all keys, then deletes them. */
export async function readBack(
  operations: readonly DrillOperation[],
  copies: Copies,
  terms: ReadBackTerms,
): Promise<ReadonlyMap<string, KeyRead>> {
  const reads = new Map<string, KeyRead>()
  await Promise.all(
    copies.shards.map(async (shard) => {
      const keys = [...new Set(operations.flatMap((one) => (one.shard === shard.id ? [one.key] : [])))]
      await readShard(shard, keys, copies, terms, reads)
    }),
  )
  return reads
}

async function readShard(
  shard: Copies['shards'][number],
  keys: readonly string[],
  { nodes, topology }: Copies,
  terms: ReadBackTerms,
  reads: Map<string, KeyRead>,
): Promise<void> {
  const owner = nodes.find(({ id }) => id === shard.primary)
  const replicas = nodes.filter(({ id }) => shard.replicas.includes(id))
  const links = new Map(
    [owner, ...replicas].flatMap((node) => (node === undefined ? [] : [[node.id, linkTo(node, terms)]])),
  )
  try {
    const ownerLink = owner && links.get(owner.id)
    if (ownerLink !== undefined) await fence(ownerLink, terms.tags.get(shard.id) ?? '', replicas.length, terms.drill)
    const atOwner = await readAll(ownerLink, keys, false)
    const atReplicas = await Promise.all(
      replicas.map(async ({ id }) => [id, await readAll(links.get(id), keys, topology === 'cluster')] as const),
    )
    for (const [index, key] of keys.entries()) {
      const copies = atReplicas.map(([id, values]) => [id, values[index] ?? 'unread'] as const)
      reads.set(key, { owner: atOwner[index] ?? 'unread', replicas: Object.fromEntries(copies) })
    }
    if (ownerLink !== undefined) await forget(ownerLink, keys)
  } finally {
    for (const link of links.values()) link.close()
  }
}

const linkTo = ({ host, port }: Copies['nodes'][number], { user, password, authority }: ReadBackTerms): EngineLink =>
  new EngineLink({
    address: host,
    port,
    username: user,
    password,
    authority: () => authority ?? null,
    name: 'holdfast-drill',
  })

/**
 * One more write, waited for at every replica: replication is in order, so whoever has it has all before it. Where it is
 * not had in time, replicas are read as they are.
 */
async function fence(link: EngineLink, tag: string, replicas: number, drill: string): Promise<void> {
  const key = `${tag}holdfast:drill:${drill}:fence`
  const wait = ['WAIT', String(replicas), String(fenceWithinMs - 1000)]
  await link
    .pipeline([['SET', key, 'x', 'PX', String(keysLiveMs)], wait, ['UNLINK', key]], fenceWithinMs)
    .catch(() => {})
}

/** In the order of the keys. `redirects`: a replica in a Cluster sends readers to its primary, unless it is told. */
async function readAll(link: EngineLink | undefined, keys: readonly string[], redirects: boolean): Promise<CopyRead[]> {
  const found: CopyRead[] = []
  for (let at = 0; at < keys.length; at += keysAtOnce) {
    const some = keys.slice(at, at + keysAtOnce)
    found.push(...(link === undefined ? some.map(() => 'unread' as const) : await readSome(link, some, redirects)))
  }
  return found
}

async function readSome(link: EngineLink, keys: readonly string[], redirects: boolean): Promise<CopyRead[]> {
  // A connection that was opened anew has forgotten that it may read at a replica.
  const before = redirects ? [['READONLY']] : []
  for (let tried = 0; tried < tries; tried++) {
    if (tried > 0) await delay(500)
    try {
      const replies = await link.pipeline([...before, ...keys.map((key) => ['GET', key])], pipelineWithinMs)
      return replies.slice(before.length).map((reply) => (typeof reply === 'string' ? { value: reply } : 'absent'))
    } catch {
      // Nobody is asked instead: another node's answer would be about another copy.
    }
  }
  return keys.map(() => 'unread')
}

/** What is not deleted here is gone within the hour. */
async function forget(link: EngineLink, keys: readonly string[]): Promise<void> {
  for (let at = 0; at < keys.length; at += keysAtOnce) {
    const some = keys.slice(at, at + keysAtOnce).map((key) => ['UNLINK', key])
    await link.pipeline(some, pipelineWithinMs).catch(() => {})
  }
}
