/**
 * A primary that came back without its data, quicker than its replica could be promoted. Somebody other than Holdfast
 * started it: a supervisor that knows nothing of clusters, or a person. It claims its slots as it did before, and its
 * replica still has everything, until it has synced with the empty one; that takes a second at most.
 *
 * The primary that had the data is dead: what answers in its place has no key, and another history than the replica
 * that followed it. So the replica may be promoted over it. Offsets and histories alone prove nothing, since a primary
 * that was restarted from its append-only file begins both anew; but then it has keys.
 *
 * One that is held (`durability.ts`) gives its replicas nothing, however long that takes. Where its file lets it log no
 * write, it has less than they have whatever keys it has: those of an old snapshot, or of writes since. A snapshot says
 * where in the stream it was taken, and an engine that is started from one as a primary goes on from there under another
 * history: a replica with more of the former one has what came after the snapshot.
 */
import { saysHeld } from '../durability.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { primaryIdOf } from '../picture.ts'
import { isApartFrom } from './view-change.ts'

/** The fullest copy of what the shard's empty primary has lost; undefined where it has lost nothing, or nobody has it. */
export function heirOfEmptied(shard: ShardPicture, picture: Picture): NodePicture | undefined {
  const { primary } = shard
  if (primary?.facts?.role !== 'primary') return undefined
  if (primary.facts.keys > 0 && !isHeldBehind(primary)) return undefined
  return shard.nodes
    .filter((node) => hasWhatWasLost(node, primary, picture))
    .sort((a, b) => (b.facts?.offset ?? 0) - (a.facts?.offset ?? 0) || (a.id < b.id ? -1 : 1))[0]
}

/** A stranger started it, and not from a log. */
export const isHeldBehind = ({ agent }: NodePicture): boolean =>
  saysHeld(agent?.config) && agent?.written?.['appendonly'] === 'no'

/** Its file lets it take snapshots: it may have as much as a copy that was started from one of its own. */
export const keepsSnapshots = ({ agent, facts }: NodePicture): boolean =>
  (agent?.written?.['save'] ?? '') !== '' && (facts?.keys ?? 0) > 0

/** Since it was last linked, or that is not known: an engine tells its age in whole seconds. */
function wasRestarted({ agent, facts, seen }: NodePicture): boolean {
  if (facts === null || seen.engine.kind !== 'answered') return true
  return seen.engine.at - facts.uptimeSeconds * 1000 > (agent?.record?.linkUpAt ?? Number.NEGATIVE_INFINITY)
}

function hasWhatWasLost(node: NodePicture, primary: NodePicture, picture: Picture): boolean {
  const { facts } = node
  if (facts?.role !== 'replica' || facts.keys === 0) return false
  // Without an offset it has not been linked since it was started; from its own files it has what those had.
  if (facts.offset === 0 && !isHeldBehind(primary)) return false
  if (primaryIdOf(node) !== primary.engineId) return false
  // With the link up it has what its primary has: then nothing was lost, or it is too late.
  if (!isApartFrom(node, primary)) return false
  const isLater = facts.replid === primary.facts?.replidBefore
  if (isLater ? !isHeldBehind(primary) : keepsSnapshots(primary) && wasRestarted(node)) return false
  // One that was led astray has another shard's data, and that shard's history with it.
  return !picture.nodes.some((other) => other.shard !== node.shard && other.facts?.replid === facts.replid)
}
