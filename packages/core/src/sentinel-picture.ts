/**
 * Who the primary is where Sentinels watch.
 *
 * The Sentinels decide, and the engines have the last word: what a majority of the Sentinels names is the primary, alive
 * or not, unless it was already succeeded. A Sentinel tells of a new primary up to a second after it was promoted; by
 * then the promoted one says so itself, and says whose history it went on from.
 */
import type { SentinelPlace } from './document.ts'
import type { Life } from './life.ts'
import { isGone, judgeLife } from './life.ts'
import type { AgentSentinelSeen, SentinelFacts, SentinelSeen, SentinelWatch } from './observed.ts'
import type { NodePicture } from './picture.ts'
import type { Spec } from './spec.ts'

export interface SentinelPicture {
  readonly id: string
  readonly place: SentinelPlace
  readonly life: Life
  readonly gone: boolean
  /** Null unless it answers. */
  readonly facts: SentinelFacts | null
  /** Null where it does not answer, or watches nothing under the deployment's name. */
  readonly watch: SentinelWatch | null
  readonly agent: AgentSentinelSeen | null
  readonly seen: SentinelSeen
}

export function readSentinel(seen: SentinelSeen, spec: Spec, now: number): SentinelPicture {
  const { id, host, address, port, engine, agent } = seen
  const life = judgeLife(seen, spec.timeouts.frozenAfter, now)
  const facts = life === 'alive' && engine.kind === 'answered' ? engine.facts : null
  const place = { id, host, address, port }
  return { id, place, life, gone: isGone(life), facts, watch: facts?.watch ?? null, agent, seen }
}

/** The primary of the only shard; null while nobody can say. */
export function primaryAmong(nodes: readonly NodePicture[], sentinels: readonly SentinelPicture[]): NodePicture | null {
  const claiming = nodes.filter((node) => node.facts?.role === 'primary')
  const named = namedByMajority(nodes, sentinels)
  if (named === undefined) return byThemselves(nodes, claiming)
  if (named.facts?.role === 'primary') return named
  const [successor, ...more] = claiming.filter((node) => continues(node, named))
  if (successor !== undefined && more.length === 0) return successor
  // One that lives as a replica is no primary, whoever names it; the only one that says to be it is.
  if (named.facts?.role === 'replica') return claiming.length === 1 ? (claiming[0] ?? null) : null
  return named
}

/** Whom more than half of all Sentinels name. */
export function namedByMajority(
  nodes: readonly NodePicture[],
  sentinels: readonly SentinelPicture[],
): NodePicture | undefined {
  return nodes.find((node) => sentinels.filter(({ watch }) => names(watch, node)).length * 2 > sentinels.length)
}

export const names = (watch: SentinelWatch | null, { place }: NodePicture): boolean =>
  watch !== null && watch.primary.port === place.port && watch.primary.address === place.address

/** Whether a node that is primary now was promoted from a replica of this one. */
const continues = (node: NodePicture, former: NodePicture): boolean =>
  node !== former && node.facts !== null && node.facts.replidBefore === former.agent?.record?.replid

/** Without a word of the Sentinels: the only one that says so; else whoever was it last. */
function byThemselves(nodes: readonly NodePicture[], claiming: readonly NodePicture[]): NodePicture | null {
  if (claiming.length === 1) return claiming[0] ?? null
  if (claiming.length > 1) return null
  const former = nodes.filter((node) => node.agent?.record?.role === 'primary')
  return [...former].sort((a, b) => (b.agent?.record?.at ?? 0) - (a.agent?.record?.at ?? 0))[0] ?? null
}
