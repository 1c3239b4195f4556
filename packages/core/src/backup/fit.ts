/** Whether a backup fits a deployment: the same shape, and an engine that can read it. */
import type { EngineBuild } from '../engine-version.ts'
import { formatSlots, missingSlots, normalizeSlots, subtractSlots } from '../slots.ts'
import type { Spec } from '../spec.ts'
import type { Manifest } from './manifest.ts'
import { slotsOf } from './manifest.ts'
import { objectionToFormat } from './rdb-head.ts'

/** Every reason why it cannot be restored there; empty where it can. `shards`: the ids of those that there are, where it was scaled. */
export function objectionsToRestore(
  manifest: Manifest,
  spec: Spec,
  engine: EngineBuild,
  shards: readonly string[] = Array.from({ length: spec.shards }, (_, index) => `shard-${index + 1}`),
): readonly string[] {
  const objections: string[] = []
  if (manifest.topology !== spec.topology) {
    objections.push(`it is of a ${manifest.topology} deployment, and ${spec.name} is ${spec.topology}`)
  }
  const held = manifest.files.map(({ shard }) => shard)
  if (manifest.files.length !== shards.length) {
    objections.push(`it has ${manifest.files.length} shards, and ${spec.name} has ${shards.length}`)
  } else if (shards.some((shard) => !held.includes(shard))) {
    objections.push(`its shards are ${held.join(', ')}, and those of ${spec.name} are ${shards.join(', ')}`)
  }
  if (manifest.topology === 'cluster') objections.push(...gapsOf(manifest))
  for (const { shard, rdb } of manifest.files) {
    const objection = objectionToFormat(rdb, engine)
    if (objection !== null) objections.push(`${shard}: ${objection}`)
  }
  return [...new Set(objections)]
}

/** Slots that no file of a cluster's backup has, or two. */
function gapsOf({ files }: Manifest): string[] {
  const all = files.flatMap(slotsOf)
  const missing = missingSlots(all)
  const twice = files.flatMap((file, index) => {
    const others = files.slice(index + 1).flatMap(slotsOf)
    return subtractSlots(slotsOf(file), subtractSlots(slotsOf(file), others))
  })
  return [
    ...(missing.length > 0 ? [`no file of it has slots ${formatSlots(missing)}`] : []),
    ...(twice.length > 0 ? [`two files of it have slots ${formatSlots(normalizeSlots(twice))}`] : []),
  ]
}
