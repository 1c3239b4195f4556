import { logsWrites } from '../persist-on.ts'
import type { NodePicture } from '../picture.ts'
import type { Spec } from '../spec.ts'

/**
 * Which of its files has the data, by the files themselves: data files are judged, never nodes.conf, which survives a
 * lost file, and never the spec, which may have been edited since they were written.
 *
 * Where both are there, the append-only file has every write as long as it was written to. It is old only where the
 * engine had stopped logging when it was last seen, and has taken a snapshot since.
 */
export function freshestFile(node: NodePicture): 'aof' | 'rdb' | null {
  if (node.agent === null) return null
  const { files, record } = node.agent
  if (files.aof && files.rdb) return files.rdbNewer && record?.logs === false ? 'rdb' : 'aof'
  return files.aof ? 'aof' : files.rdb ? 'rdb' : null
}

/**
 * Whether the data directory holds a copy that an engine of this spec would be started from. Without persistence a
 * snapshot is what is left of a sync, and as old as that; an append-only file is one that was not ended yet.
 */
export function hasCopy(node: NodePicture, spec: Spec): boolean {
  const freshest = freshestFile(node)
  return freshest === 'aof' || (freshest === 'rdb' && spec.persistence !== 'none')
}

/**
 * Whether a dead primary has all it had acknowledged in its own files. Only an append-only file does; an RDB is as
 * old as its last save, and a living replica knows more.
 */
export const canRestartInPlace = (node: NodePicture, spec: Spec): boolean =>
  node.agent?.files.aof === true && (node.agent.record?.logs ?? logsWrites(spec))

/** Its file lets it write nothing: a snapshot that is there is what is left of a sync, and as old as that. */
export const isLeftover = (node: NodePicture): boolean =>
  freshestFile(node) === 'rdb' && node.agent?.written?.['appendonly'] === 'no' && node.agent.written['save'] === ''
