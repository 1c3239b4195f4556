/** What in the spec made an incident longer or dearer than it had to be, each with its remedy. */
import type { Spec } from '../spec.ts'
import { copiesOfShard } from '../spec.ts'
import { formatBytes, formatDuration } from '../units.ts'
import type { Incident } from './incident.ts'

/** The defaults of the spec: what is above them was raised by somebody. */
const frozenAfterMs = 2000
const nodeTimeoutMs = 5000
const maxLagBytes = 1024 ** 2

/** Only what this incident ran into: a setting that had no part in it is no business of its review. */
export function madeWorseBy(incident: Incident, spec: Spec): string[] {
  const { kind, shards, promotions, notWritableMs, because } = incident
  const say: string[] = []
  const alone = shards.filter((shard) => copiesOfShard(spec, numberOf(shard)) === 1)
  const unled = shards.filter((shard) => !promotions.some((promotion) => promotion.shard === shard))
  const died = kind === 'death' || kind === 'freeze' || kind === 'loss'
  if (died && alone.length > 0) {
    say.push(`${alone.join(', ')} had no replica, so nobody could take over: set replicasPerShard to 1 or more`)
  }
  if (died && spec.persistence === 'none' && (kind === 'loss' || unled.length > 0)) {
    say.push('persistence is none, so what no living copy held was gone: set persistence to hybrid')
  }
  if (kind === 'loss' && spec.persistence === 'rdb') {
    say.push('persistence is rdb, so all since the last snapshot was at stake: set persistence to hybrid')
  }
  if (kind === 'freeze' && spec.timeouts.frozenAfter > frozenAfterMs) {
    const { frozenAfter } = spec.timeouts
    say.push(
      `timeouts.frozenAfter is ${formatDuration(frozenAfter)}, and no freeze is proven sooner: the default is 2s`,
    )
  }
  if (spec.fullCoverage && Object.keys(notWritableMs).length > 1 && died) {
    say.push('fullCoverage is yes, so one missing shard stopped all of them: set fullCoverage to no')
  }
  if (kind === 'loss' && spec.failover.maxLag.bytes < maxLagBytes) {
    const { bytes } = spec.failover.maxLag
    say.push(
      `failover.maxLag.bytes is ${formatBytes(bytes)}, so replicas further behind had to wait: the default is 1mb`,
    )
  }
  if (kind === 'outage' && promotions.length > 0 && spec.timeouts.node > nodeTimeoutMs) {
    const { node } = spec.timeouts
    say.push(`timeouts.node is ${formatDuration(node)}, and the engines fail over no sooner: the default is 5s`)
  }
  if (kind === 'outage' && spec.memory.policy === 'noeviction' && /\bOOM\b/.test(because)) {
    say.push(
      'memory.policy is noeviction, so writes are refused at the limit: raise memory.maxPerNode, or let keys be evicted',
    )
  }
  return say
}

/** `shard-2` is the second of the layout; an id of another shape has no override. */
const numberOf = (shard: string): number => Number(/\d+$/.exec(shard)?.[0] ?? 0)
