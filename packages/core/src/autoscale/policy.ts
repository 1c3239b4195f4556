/**
 * When a deployment grows and shrinks by itself, in shards, and which policies contradict themselves.
 *
 * Out and in are no mirror images. One reason is enough to grow, all have to speak for it to shrink, and what is removed
 * must not be missed: whoever removes a pair because the processors are idle, while the memory is full, loses data.
 */
import type { Spec } from '../spec.ts'
import { nodeCountOf } from '../spec.ts'
import type { Problem } from '../spec-problems.ts'
import { formatDuration } from '../units.ts'
import { percent } from './percent.ts'
import { autoscaleSchema } from './schema.ts'

/** A cluster of fewer cannot outvote a dead primary. */
const shardsMin = 3
/** Fewer samples say nothing about a time; more are a window that nobody meant. */
const samplesMin = 3
const samplesMax = 2000

/** A policy as it decides: in shards, milliseconds and ratios. */
export interface ScalePolicy {
  readonly shards: { readonly min: number; readonly max: number }
  /** Nodes of a shard that is added. */
  readonly copies: number
  readonly out: { readonly cpuAbove: number; readonly memoryAbove: number; readonly forMs: number }
  readonly in: { readonly bothBelow: number; readonly forMs: number }
  readonly margin: number
  readonly coolDownMs: number
  readonly hitRateTarget: number
  readonly sampleEveryMs: number
  /** It is full by design, and full says nothing: then memory counts by what its eviction costs. */
  readonly fullByDesign: boolean
}

/** The policy of a spec; of one that wants none, as it would be if it wanted the defaults. */
export function policyOf(spec: Spec): ScalePolicy {
  const {
    nodes: wanted,
    out,
    in: into,
    ...rest
  } = spec.autoscale === 'off' ? autoscaleSchema.parse({}) : spec.autoscale
  const evicts = spec.use === 'cache' && spec.memory.policy !== 'noeviction'
  return {
    shards: {
      min: wanted.min === null ? shardsMin : Math.max(shardsMin, shardsWithin(spec, wanted.min)),
      max: wanted.max === null ? 2 * shardsMin : Math.max(shardsMin, shardsWithin(spec, wanted.max)),
    },
    copies: 1 + spec.replicasPerShard,
    out: { cpuAbove: out.cpuAbove, memoryAbove: out.memoryAbove.share, forMs: out.for },
    in: { bothBelow: into.bothBelow, forMs: into.for },
    margin: rest.margin,
    coolDownMs: rest.coolDown,
    hitRateTarget: rest.hitRateTarget,
    sampleEveryMs: rest.sampleEvery,
    fullByDesign: evicts && !out.memoryAbove.force,
  }
}

const nodesAt = (spec: Spec, shards: number): number => nodeCountOf({ ...spec, shards })

/** The most shards that have no more nodes than that. */
function shardsWithin(spec: Spec, nodeCount: number): number {
  let shards = 0
  while (shards < nodeCount && nodesAt(spec, shards + 1) <= nodeCount) shards++
  return shards
}

/** What is wrong with a policy in itself, and beside the rest of the spec. */
export function checkAutoscale(spec: Spec): Problem[] {
  if (spec.autoscale === 'off') return []
  if (spec.topology !== 'cluster') {
    const message = `needs topology cluster, not ${spec.topology}: one primary cannot be shared out. Leave it out`
    return [{ path: 'autoscale', message }]
  }
  return [...checkSize(spec), ...checkThresholds(spec), ...checkWindows(spec)]
}

function checkSize(spec: Spec): Problem[] {
  if (spec.autoscale === 'off') return []
  const { min, max } = spec.autoscale.nodes
  const problems: Problem[] = []
  const least = nodesAt(spec, shardsMin)
  for (const [key, wanted] of Object.entries({ min, max })) {
    if (wanted === null) continue
    const below = shardsWithin(spec, wanted)
    const [fits, next] = [nodesAt(spec, below), nodesAt(spec, below + 1)]
    const path = `autoscale.nodes.${key}`
    if (wanted < least) {
      const because = `a cluster needs ${shardsMin} shards to outvote a dead one, and here that is ${least} nodes`
      problems.push({ path, message: `${because}: at least ${least}, not ${wanted}` })
    } else if (fits !== wanted) {
      const because = `${below} shards are ${fits} nodes, and ${below + 1} are ${next}`
      problems.push({ path, message: `${wanted} nodes cannot be reached: ${because}. Write one of these` })
    }
  }
  const policy = policyOf(spec)
  if (problems.length === 0 && policy.shards.min > policy.shards.max) {
    const [from, to] = [nodesAt(spec, policy.shards.min), nodesAt(spec, policy.shards.max)]
    problems.push({ path: 'autoscale.nodes', message: `min is ${from} nodes, and max ${to}: not more than max` })
  }
  return problems
}

/**
 * Whatever made it grow must not make it shrink again. The load that is at a threshold of `out` with n shards is at
 * n / (n + 1) of it with one more, and the step is greatest where there are fewest.
 */
function checkThresholds(spec: Spec): Problem[] {
  const { shards, out, in: into, margin } = policyOf(spec)
  const problems: Problem[] = []
  const lowest = Math.min(out.cpuAbove, out.memoryAbove)
  const name = out.cpuAbove <= out.memoryAbove ? 'cpuAbove' : 'memoryAbove'
  const after = (lowest * shards.min) / (shards.min + 1)
  if (into.bothBelow >= after) {
    const sum = `${percent(lowest)} × ${shards.min}/${shards.min + 1} = ${percent(after)}`
    problems.push({
      path: 'autoscale.in.bothBelow',
      message: `${percent(into.bothBelow)} overlaps with out.${name} ${percent(lowest)}: what grows from ${shards.min} to ${shards.min + 1} shards there is at ${sum} then, and would shrink again. Less than ${percent(after)}, or a higher ${name}`,
    })
  }
  if (margin >= lowest) {
    const message = `${percent(margin)} below out.${name} ${percent(lowest)} leaves nothing: it would never shrink`
    problems.push({ path: 'autoscale.margin', message })
  }
  return problems
}

function checkWindows(spec: Spec): Problem[] {
  const { out, in: into, sampleEveryMs } = policyOf(spec)
  if (sampleEveryMs < 1000)
    return [{ path: 'autoscale.sampleEvery', message: 'at least 1s: engines are not asked more often' }]
  return Object.entries({ out: out.forMs, in: into.forMs }).flatMap(([key, forMs]): Problem[] => {
    const count = Math.floor(forMs / sampleEveryMs)
    if (count >= samplesMin && count <= samplesMax) return []
    const has = `${formatDuration(forMs)} holds ${count} samples, one each ${formatDuration(sampleEveryMs)}`
    const message = `${has}: ${samplesMin} to ${samplesMax} of them, by another time or another sampleEvery`
    return [{ path: `autoscale.${key}.for`, message }]
  })
}
