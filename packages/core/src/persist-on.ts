/**
 * `persistOn`: which copies of a shard write to disk. `replicas` spares the primary the forks and the flushes that make
 * its clients wait; `one` spares all but one replica.
 *
 * Who shall write follows from the roles as they are now, and nothing is remembered. The invariant: whoever writes goes
 * on until a copy that shall write has its files whole and is in sync. So after a change of role the new primary goes on
 * writing until its former primary is back, has synced and has written its first log; and a copy that dies, starts anew
 * or syncs ends nobody else's files.
 */
import type { NodeFiles } from './action.ts'
import type { StartHistory } from './observed.ts'
import { ownedBy } from './persistence-config.ts'
import type { NodePicture, Picture, ShardPicture } from './picture.ts'
import type { Spec } from './spec.ts'

/** After this many failed starts a node counts as one that does not come back by itself. */
const failuresUntilHopeless = 3

interface Failing {
  readonly agent: { readonly starts: StartHistory } | null
}

/** It is not coming back by itself. */
export const keepsFailing = (node: Failing): boolean => (node.agent?.starts.failures ?? 0) >= failuresUntilHopeless

/** Whether every write of those that write goes to an append-only file. */
export const logsWrites = ({ persistence }: Spec): boolean => persistence === 'aof' || persistence === 'hybrid'

/** Whether some copies of a shard write to disk, and others do not. */
export const writesOnSome = ({ persistOn, persistence }: Spec): boolean => persistOn !== 'all' && persistence !== 'none'

/** The ids of those that shall write nothing to their disk now. Spares are not told apart: they have no data. */
export function memoryOnlyOf(shards: readonly ShardPicture[], spec: Spec): ReadonlySet<string> {
  if (!writesOnSome(spec)) return new Set()
  return new Set(shards.flatMap((shard) => thoseInMemory(shard, spec)).map(({ id }) => id))
}

function thoseInMemory(shard: ShardPicture, spec: Spec): NodePicture[] {
  const keepers = keepersOf(shard, spec)
  const isKept = keepers.some((node) => hasItsFiles(node, shard, spec))
  return shard.nodes.filter((node) => !keepers.includes(node) && (isKept || !writes(node)))
}

/** The copies that shall write. Where nobody knows who is primary, nobody begins. */
export function keepersOf(shard: ShardPicture, spec: Spec): readonly NodePicture[] {
  const primary = shard.primary ?? (shard.born ? null : shard.nodes[0])
  if (primary == null) return []
  const replicas = shard.nodes.filter((node) => node !== primary)
  return spec.persistOn === 'one' ? [...replicas].sort(likelierFirst).slice(0, 1) : replicas
}

/** One that is to come back before one that is not, one that stays before a lent one, one that writes already, the lowest. */
const likelierFirst = (a: NodePicture, b: NodePicture): number =>
  Number(a.gone && keepsFailing(a)) - Number(b.gone && keepsFailing(b)) ||
  Number(isTemporary(a)) - Number(isTemporary(b)) ||
  Number(writes(b)) - Number(writes(a)) ||
  a.id.localeCompare(b.id, 'en', { numeric: true })

const isTemporary = ({ place }: NodePicture): boolean => place.lentTo !== undefined || place.leaving !== undefined

/** Whether it writes to its disk, by its own word; of one that does not answer, by what was last seen. */
function writes({ facts, agent }: NodePicture): boolean {
  const config = agent?.config ?? agent?.written
  const logs = facts?.disk.logs ?? agent?.record?.logs ?? config?.['appendonly'] === 'yes'
  return logs || (config?.['save'] ?? '') !== ''
}

/** Whether it is in sync, and would be started again from files that are as fresh as the spec's persistence has them. */
export function hasItsFiles({ facts, agent, follows }: NodePicture, { primary }: ShardPicture, spec: Spec): boolean {
  if (facts?.link?.state !== 'up' || agent === null || primary === null || follows !== primary.engineId) return false
  const { disk } = facts
  if (logsWrites(spec)) return disk.logs && !disk.rewriting && agent.files.aof
  return (agent.config?.['save'] ?? '') !== '' && !disk.saving && disk.saveOk && agent.files.rdb
}

/** In place of what the spec's persistence means. */
const nothing = { appendonly: 'no', save: '' } as const

type Rendered = { readonly picture: Pick<Picture, 'memoryOnly'> }

/** The directives that Holdfast owns on this node, by its place and its role. */
export function ownedOf(
  { id }: Pick<NodePicture, 'id'>,
  { picture, owned }: Rendered & { readonly owned: Readonly<Record<string, string>> },
): Readonly<Record<string, string>> {
  return { ...ownedBy(id, owned), ...(picture.memoryOnly.has(id) ? nothing : {}) }
}

/** The files of this node, by its role. */
export function filesOf(
  { id }: Pick<NodePicture, 'id'>,
  { picture, files }: Rendered & { readonly files: ReadonlyMap<string, NodeFiles> },
): NodeFiles | undefined {
  const rendered = files.get(id)
  return rendered !== undefined && picture.memoryOnly.has(id) ? inMemory(rendered) : rendered
}

/** The same that writes nothing to its disk; made once of each, so that whoever knows them knows them again. */
function inMemory(rendered: NodeFiles): NodeFiles {
  const known = withoutDisk.get(rendered)
  if (known !== undefined) return known
  const config = rendered.config.replace(/^appendonly .*$/m, 'appendonly no').replace(/^(?:save .*\n)+/m, 'save ""\n')
  const files = { ...rendered, config }
  withoutDisk.set(rendered, files)
  return files
}

const withoutDisk = new WeakMap<NodeFiles, NodeFiles>()
