/**
 * From what an application needs to the deployment that fits it, with the reasons. Pure: the same needs always give the
 * same advice. Each number that decides has a name here and its origin in a sentence, so that whoever disagrees knows
 * with what.
 */

import { HoldfastError } from './error.ts'
import type { EvictionPolicy } from './memory-fit.ts'
import { policyFor } from './memory-fit.ts'
import { parseSpec } from './parse-spec.ts'
import type { SpecText } from './spec.ts'
import { formatBytes } from './units.ts'

export interface Needs {
  readonly name: string
  readonly use: 'cache' | 'session' | 'queue' | 'primary-store'
  /** What the data takes in the engine's memory today. */
  readonly dataBytes: number
  /** By how much it grows in a month: 0.05 is 5 %. */
  readonly growthPerMonth: number
  /** For how long the advice shall hold. */
  readonly months: number
  /** Commands a second at the busiest time. */
  readonly opsPerSecond: number
  /** The share of them that write. */
  readonly writeShare: number
  /** `zero`: no write that was acknowledged may be lost. */
  readonly loss: 'a-moment' | 'zero'
  /** `restart`: it may be away while one engine starts again. */
  readonly outage: 'none' | 'restart'
  /** Commands over several keys: none; only over keys that belong together; over any keys. */
  readonly multiKey: 'none' | 'together' | 'any'
  readonly zones: number
  /** What one node may take of its machine's memory. */
  readonly nodeMemoryBytes: number
}

export interface Advice {
  /** What parseSpec takes today. */
  readonly spec: SpecText
  /** What belongs into the spec as soon as this version acts on it. */
  readonly later: readonly string[]
  readonly reasons: readonly string[]
}

export const usualNeeds: Omit<Needs, 'name' | 'dataBytes' | 'opsPerSecond'> = {
  use: 'cache',
  growthPerMonth: 0.05,
  months: 6,
  writeShare: 0.2,
  loss: 'a-moment',
  outage: 'none',
  multiKey: 'none',
  zones: 1,
  nodeMemoryBytes: 16 * 1024 ** 3,
}

/**
 * One engine works on one core. Loading a million keys of all types into one took 137 000 commands a second in a
 * pipeline on our machine; applications do not pipeline like that, and a core that is full answers late.
 */
const opsOfOnePrimary = 50_000

/** Above it an alert comes: what is left is for a peak, for clients' buffers and for the time until somebody acts. */
const fillAtMost = 0.75

/** A save copies each page that is written meanwhile: at worst all of them, usually far fewer. */
const shareForData = 0.6

const mb = 1024 ** 2
const gb = 1024 ** 3
const smallestNode = 64 * mb
/** The most that a spec may have, as an odd number. */
const shardsMax = 499

export function advise(needs: Needs): Advice {
  const dataThen = Math.ceil(needs.dataBytes * (1 + needs.growthPerMonth) ** needs.months)
  const maxPerNode = Math.floor(needs.nodeMemoryBytes * shareForData)
  const one = roundUp(dataThen / fillAtMost)
  // Class durable is a Cluster.
  const fitsOne = needs.loss !== 'zero' && one <= maxPerNode && needs.opsPerSecond <= opsOfOnePrimary
  const reasons = [sizeReason(needs, dataThen)]
  const later: string[] = []
  const common = commonFields(needs, reasons, later)
  const replicas = needs.loss === 'zero' || needs.use === 'primary-store' ? 2 : 1

  if (fitsOne && needs.outage === 'restart') {
    reasons.push(
      `Standalone: ${formatBytes(one)} and ${number(needs.opsPerSecond)} commands a second fit one engine, and it may be away while that starts again: some tenths of a second, and as long as its files take to load. The loss of its disk is the loss of the data.`,
    )
    reasons.push(multiKeyOnOne)
    return finish({ ...common, topology: 'standalone', memory: memoryOf(one, common.policy) }, later, reasons)
  }
  if (fitsOne) {
    const sentinel = {
      ...common,
      topology: 'sentinel',
      replicasPerShard: replicas,
      memory: memoryOf(one, common.policy),
    }
    const why = `Sentinel: ${formatBytes(one)} and ${number(needs.opsPerSecond)} commands a second fit one engine, so one primary and ${replicas} ${replicas === 1 ? 'replica' : 'replicas'} are enough. After a kill a client writes again in about 1.2 s; a Cluster needs 0.03 s and a client of it 0.1 s, all measured on one machine. If that second matters, take a Cluster.`
    if (isSupported(sentinel)) return finish(sentinel, later, [...reasons, why, multiKeyOnOne])
    later.push(`topology: sentinel   # with replicasPerShard: ${replicas}, and without shards`)
    reasons.push(why, 'This version does not run Sentinel yet.')
    if (needs.multiKey === 'any') {
      reasons.push(
        `Standalone for now: commands over any keys need one primary. Nobody takes over from it. ${multiKeyOnOne}`,
      )
      return finish({ ...common, topology: 'standalone', memory: memoryOf(one, common.policy) }, later, reasons)
    }
    reasons.push(
      'A Cluster of three for now: its keys are spread, and commands over several of them need one hash tag.',
    )
  }
  return adviseCluster({ needs, dataThen, maxPerNode, replicas }, common, later, reasons)
}

interface Size {
  readonly needs: Needs
  readonly dataThen: number
  readonly maxPerNode: number
  readonly replicas: number
}

interface CommonFields {
  readonly name: string
  readonly use: Needs['use']
  readonly persistence: string
  readonly policy: EvictionPolicy
}

function adviseCluster(size: Size, common: CommonFields, later: string[], reasons: string[]): Advice {
  const { needs, dataThen, maxPerNode, replicas } = size
  const shards = shardsFor(size)
  const perNode = Math.max(nodeBytes(dataThen, shards), stepUp(size, shards))
  const copies = shards * (1 + replicas)
  reasons.push(
    `Cluster of ${shards} primaries: each holds at most ${formatBytes(perNode)} of a limit of ${formatBytes(maxPerNode)}, and each answers at most ${number(Math.ceil(needs.opsPerSecond / shards))} commands a second where one engine on one core is planned with ${number(opsOfOnePrimary)} (137 000 were measured, in pipelines that filled the core).`,
    `An odd number of primaries, because a majority of them elects: with an even one, each of two zones can have half, and then the loss of either stops every election. With an odd one, the loss of the zone with fewer is survived; for the loss of either of two there is no number, and a third zone with a vote is what helps.`,
    `maxmemory ${formatBytes(perNode)}: filled to ${fillAtMost * 100} % with today's growth, and so that with one primary gone for good the others hold all of the data (N+1). ${copies} nodes together may take ${formatBytes(perNode * copies)}, and their machines need ${formatBytes(Math.ceil(perNode / shareForData) * copies)}: while it saves, an engine may need most of its memory once more.`,
  )
  reasons.push(...clusterKeysReasons(needs))
  if (perNode > maxPerNode)
    reasons.push(
      `A spec has at most ${shardsMax} shards here, so each node takes more than you allow one: take larger machines or several deployments.`,
    )
  const spec = {
    ...common,
    topology: 'cluster',
    ...(needs.loss === 'zero' ? { durability: 'durable' } : {}),
    shards,
    replicasPerShard: replicas,
    memory: memoryOf(perNode, common.policy),
  }
  return finish(spec, later, reasons)
}

/** The smallest odd number of primaries that has room for the data and time for the commands. */
function shardsFor({ needs, dataThen, maxPerNode }: Size): number {
  for (let shards = 3; shards < shardsMax; shards += 2) {
    const fits = nodeBytes(dataThen, shards) <= maxPerNode && needs.opsPerSecond / shards <= opsOfOnePrimary
    if (fits) return shards
  }
  return shardsMax
}

/** Filled to three quarters with its own share, and full with what one of the others leaves behind. */
const nodeBytes = (dataBytes: number, shards: number): number =>
  roundUp(Math.max(dataBytes / shards / fillAtMost, dataBytes / (shards - 1)))

/**
 * Three primaries keep half of the data for N+1, five a third: so where the data has just outgrown three, the five would
 * have less memory together. They get what the three could have had, or more data would mean less room.
 */
function stepUp({ needs, maxPerNode }: Size, shards: number): number {
  const fewer = shards - 2
  const isByMemory = fewer >= 3 && needs.opsPerSecond / fewer <= opsOfOnePrimary
  return isByMemory ? roundUp((maxPerNode * fewer) / shards) : 0
}

function commonFields(needs: Needs, reasons: string[], later: string[]): CommonFields {
  const policy = needs.loss === 'zero' ? 'noeviction' : policyFor(needs.use)
  const writesPerSecond = needs.opsPerSecond * needs.writeShare
  const persistence = needs.use === 'cache' && writesPerSecond > opsOfOnePrimary ? 'rdb' : 'hybrid'
  reasons.push(
    policy === 'noeviction'
      ? `noeviction: what ${needs.loss === 'zero' ? 'was acknowledged' : `a ${needs.use} holds`} is nowhere else. When memory is full, writes fail and say so, and nothing is deleted silently: so watch the alert at ${fillAtMost * 100} %.`
      : `${policy}: a cache that is full drops what was not read for longest, and goes on.`,
    persistence === 'rdb'
      ? `Snapshots and no AOF: ${number(writesPerSecond)} writes a second would all go to the disk, and this is a cache. Not "none": an engine that comes back without files is empty, and everything it held is loaded from your database at once.`
      : 'An AOF with snapshots (hybrid): a killed engine comes back with every acknowledged write, a power failure costs about a second. Not "none": an engine that comes back without files is empty, and if it comes back as primary, so are its replicas.',
  )
  if (needs.loss === 'zero') {
    later.push('hosts: [ … ]   # at least three, for class durable to survive the loss of one')
    reasons.push(
      'No acknowledged write may be lost: that is class durable, a Cluster with two replicas a shard, and a write counts once a copy has it: @holdfast/cache with durable: true, or WAIT 1 on the connection of the write. Such a write takes longer, and while no controller runs nobody takes over from a dead primary. On one machine it survives the loss of a process, and not that of the machine.',
    )
  }
  if (needs.zones > 1) {
    later.push(`hosts: [ … ]   # one name, address and zone each, in ${needs.zones} zones`)
    reasons.push(
      `${needs.zones} zones: a copy of each shard belongs into another zone than its primary${needs.zones === 2 ? ', and a third place with a vote makes the loss of either zone survivable' : ''}. Until hosts are named it runs on one machine, which does not protect from its own loss.`,
    )
  }
  return { name: needs.name, use: needs.use, persistence, policy }
}

function sizeReason({ dataBytes, growthPerMonth, months }: Needs, dataThen: number): string {
  const growth = `${number(growthPerMonth * 100)} % a month for ${months} ${months === 1 ? 'month' : 'months'}`
  return `${formatBytes(dataBytes)} today, with ${growth}: planned for ${formatBytes(dataThen)}.`
}

const multiKeyOnOne = 'With one primary, commands, transactions and scripts over any keys work.'

function clusterKeysReasons({ multiKey }: Needs): string[] {
  switch (multiKey) {
    case 'none':
      return []
    case 'together':
      return [
        'Keys that are used together need one hash tag, as in {user:7}:cart and {user:7}:profile: then they lie in one slot, and MGET, MULTI and scripts over them work.',
      ]
    case 'any':
      return [
        'Commands over any keys do not work in a Cluster: the engine answers CROSSSLOT. One engine is too small for your data or your commands, so there is no way around: give keys that are used together a hash tag, split the data into several deployments, or take machines on which one engine is enough.',
      ]
    default:
      return multiKey satisfies never
  }
}

const memoryOf = (maxPerNode: number, policy: EvictionPolicy): SpecText => ({
  maxPerNode: sizeText(maxPerNode),
  policy,
})

function finish(fields: CommonFields & SpecText, later: readonly string[], reasons: readonly string[]): Advice {
  return { spec: specOf(fields), later, reasons }
}

/** In a spec the policy stands below `memory` alone. */
const specOf = (fields: CommonFields & SpecText): SpecText =>
  Object.fromEntries(Object.entries(fields).filter(([field]) => field !== 'policy'))

function isSupported(fields: CommonFields & SpecText): boolean {
  try {
    parseSpec(specOf(fields))
    return true
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'SPEC_UNSUPPORTED') return false
    throw error
  }
}

/** Up to a size that people write: whole 16 mb, and whole 256 mb from 1 gb on. */
function roundUp(wanted: number): number {
  const step = wanted > gb ? 256 * mb : 16 * mb
  return Math.max(smallestNode, Math.ceil(wanted / step) * step)
}

const sizeText = (size: number): string => (size % gb === 0 ? `${size / gb}gb` : `${size / mb}mb`)

const number = (value: number): string => String(Math.round(value * 10) / 10).replaceAll(/\B(?=(\d{3})+(?!\d))/g, ' ')
