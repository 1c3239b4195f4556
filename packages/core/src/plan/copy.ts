import type { NodePicture } from '../picture.ts'
import type { Spec } from '../spec.ts'

/** After this many failed starts a node counts as one that does not come back by itself. */
const failuresUntilHopeless = 3

/**
 * Whether the data directory holds a copy that an engine of this spec would load: data files are judged, never
 * nodes.conf, which survives a lost file.
 */
export function hasCopy(node: NodePicture, spec: Spec): boolean {
  const files = node.agent?.files
  if (files === undefined || spec.persistence === 'none') return false
  return files.rdb || (files.aof && logsWrites(spec))
}

/**
 * Whether a dead primary has all it had acknowledged in its own files. Only an append-only file does; an RDB is as
 * old as its last save, and a living replica knows more.
 */
export const canRestartInPlace = (node: NodePicture, spec: Spec): boolean =>
  logsWrites(spec) && node.agent?.files.aof === true

/** It is not coming back by itself. */
export const keepsFailing = (node: NodePicture): boolean => (node.agent?.starts.failures ?? 0) >= failuresUntilHopeless

/** Whether every write goes to an append-only file. */
export const logsWrites = (spec: Spec): boolean => spec.persistence === 'aof' || spec.persistence === 'hybrid'
