/**
 * Keeps `min-replicas-to-write` of each durable shard where `min-replicas.ts` says, on all of its engines: whoever is
 * promoted goes on with it. What the shard's primary has now is what it was, so a controller that comes later decides
 * the same.
 */
import type { Action } from '../action.ts'
import { isDurable } from '../durability.ts'
import { minReplicasToWrite } from '../min-replicas.ts'
import type { NodePicture, ShardPicture } from '../picture.ts'
import { primaryIdOf } from '../picture.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join } from './step.ts'

const directive = 'min-replicas-to-write'

export function planWriteGuard(input: PlanInput): Step {
  // A shard that comes is guarded before its first write; one that goes takes none, whatever copies are left of it.
  const guarded = input.picture.shards.filter(({ slotless, nodes }) => slotless !== true || nodes.length > 2)
  return isDurable(input.spec) ? join(guarded.map((shard) => guardShard(shard, input))) : idle
}

/** What an engine has; null: nobody has read it back yet. */
export function writeGuardOf(node: NodePicture | null): 0 | 1 | null {
  const value = node?.agent?.config?.[directive]
  return value === undefined ? null : value === '0' ? 0 : 1
}

function guardShard(shard: ShardPicture, { document, files }: PlanInput): Step {
  const { primary } = shard
  const now = writeGuardOf(primary)
  if (primary?.facts?.role !== 'primary' || now === null) return idle
  const copies = shard.nodes.filter((node) => node !== primary)
  const inSync = copies.filter(({ facts }) => facts?.link?.state === 'up')
  const { value, because } = minReplicasToWrite({
    replicas: copies.length,
    inSync: inSync.filter((node) => primaryIdOf(node) === primary.engineId).length,
    now,
    degraded: document.degraded?.[shard.id] ?? null,
  })
  const actions = shard.nodes.flatMap((node): Action[] => {
    const rendered = files.get(node.id)
    const has = writeGuardOf(node)
    if (node.facts === null || rendered === undefined || has === null || has === value) return []
    return [{ kind: 'configure', node: node.id, set: { [directive]: String(value) }, files: rendered }]
  })
  if (actions.length === 0) return idle
  const what = value === 0 ? 'takes writes without a copy' : 'takes no write without a copy'
  return act(`${shard.id} ${what} from now on (${because})`, actions)
}
