/**
 * Class `durable`: a write counts once a copy has it (`WAIT 1`), and no single fault takes such a write away.
 *
 * Three things keep that, and each is worth nothing without the others. Nobody but Holdfast promotes, and only by a view
 * change (`plan/view-change.ts`). A primary that no copy acknowledges refuses writes (`min-replicas.ts`). And what is
 * started by the files alone is held: it gives its data to no copy.
 */
import { logsWrites, writesOnSome } from './persist-on.ts'
import type { Spec } from './spec.ts'

export const isDurable = ({ durability }: Pick<Spec, 'durability'>): boolean => durability !== 'cache'

/** The engines may elect somebody by themselves while no controller does; what was acknowledged may then be lost. */
export const hasNativeFallback = ({ durability }: Pick<Spec, 'durability'>): boolean => typeof durability === 'object'

/**
 * Whether the file of an engine holds it: of a durable one, and of a Cluster in which not every write of a primary goes
 * to its disk: started from there it is empty, or as old as its last snapshot. Where Sentinels watch, the file holds each
 * engine already: it follows itself.
 */
export function isHeldInFile(spec: Spec): boolean {
  if (isDurable(spec)) return true
  const copies = [spec.replicasPerShard, ...Object.values(spec.shardOverrides).map(({ replicas }) => replicas)]
  const startsBehind = !logsWrites(spec) || writesOnSome(spec)
  const isOurs = spec.config['repl-diskless-sync'] === undefined
  return spec.topology === 'cluster' && startsBehind && isOurs && copies.every((count) => count > 0)
}

/**
 * What the file of a held engine says, and what Holdfast overrules when it starts one.
 *
 * A supervisor that finds a dead primary starts it again by its file, at once, and knows nothing of copies; without its
 * data, or with older data, it would hand that emptiness to every copy within a second. By these it makes them wait for
 * a snapshot that never begins, and until it has one of them it takes no write either (`min-replicas-to-write`). They
 * keep what they have, for as long as it takes until somebody decides, also while no controller runs.
 */
const held: Readonly<Record<string, string>> = {
  'repl-diskless-sync': 'yes',
  // In seconds: longer than any engine runs.
  'repl-diskless-sync-delay': '1000000000',
}

/** The same directives of an engine that may serve. */
const letGo: Readonly<Record<string, string>> = { 'repl-diskless-sync': 'no', 'repl-diskless-sync-delay': '0' }

/** The write guard of a durable shard is its own, held or not (`write-guard.ts`). */
const guard = (spec: Spec, value: '0' | '1'): Readonly<Record<string, string>> =>
  isDurable(spec) ? {} : { 'min-replicas-to-write': value }

/** What an engine that was held is given when it may serve. */
export const letGoOf = (spec: Spec): Readonly<Record<string, string>> => ({ ...letGo, ...guard(spec, '0') })

/** What the file has in place of what a running engine shall have. */
export const heldInFile = (spec: Spec): Readonly<Record<string, string>> =>
  isHeldInFile(spec) ? { ...held, ...guard(spec, '1') } : {}

/** By what was read back from an engine: whether it runs as its file says, so that Holdfast did not start it. */
export const saysHeld = (config: Readonly<Record<string, string>> | null | undefined): boolean =>
  config?.['repl-diskless-sync-delay'] === held['repl-diskless-sync-delay']

/** Replicas that a durable shard needs: with one, every fault of a node stops all writes. */
export const durableReplicasMin = 2

/** Machines from which on the loss of one is a fault of one copy. */
const hostsMin = 3

/** What no single fault takes away, in words. */
export function durablePromise(spec: Spec): string {
  const reach = spec.hosts.length >= hostsMin ? 'death of a process or of one host' : 'death of a process'
  const native = hasNativeFallback(spec)
    ? ' (fallback: native is not zero loss: without a controller the engines elect by themselves)'
    : ''
  return `${reach}: no write that a copy had acknowledged (WAIT 1)${native}; others: what the copies do not have yet`
}

/** Why it protects from less than its name says; null where it does not. */
export function durableLimit(spec: Spec): string | null {
  if (!isDurable(spec) || spec.hosts.length >= hostsMin) return null
  const hosts = Math.max(1, spec.hosts.length)
  const place = hosts === 1 ? 'all copies are on one host' : `the copies are on ${hosts} of ${hostsMin} hosts`
  return `survives process loss only: ${place}`
}
