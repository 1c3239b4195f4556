import { hasItsFiles, logsWrites, writesOnSome } from './persist-on.ts'
import type { Picture, ShardPicture } from './picture.ts'
import type { Spec } from './spec.ts'
import { formatBytes } from './units.ts'

/**
 * What a power failure of every machine at once costs: what is in no file. It goes by what the engines do now, and not
 * by what the spec wants, where the two differ: a change of persistence takes its time.
 */
export function diskLoss(picture: Picture, spec: Spec): string {
  if (spec.persistence === 'none') return 'power failure: everything'
  const shards = picture.shards.filter(({ slotless }) => slotless !== true)
  if (writesOnSome(spec)) return lossOfSome(shards, spec)
  const primaries = shards.flatMap(({ primary }) => (primary === null ? [] : [primary]))
  const wantsLog = logsWrites(spec)
  const allLog = primaries.every(({ facts }) => facts === null || facts.disk.logs)
  if (wantsLog && allLog) return `power failure: ${logLoss(spec)}`
  const unfinished = wantsLog ? '; the change to a log is not done yet' : ''
  return `power failure: all since the last snapshot${unfinished}`
}

/** Of each shard the files that lack least count, and the shard whose files lack most decides. */
function lossOfSome(shards: readonly ShardPicture[], spec: Spec): string {
  const bare = shards.filter((shard) => lagOfFiles(shard, spec) === null).map(({ id }) => id)
  const worst = Math.max(0, ...shards.map((shard) => lagOfFiles(shard, spec) ?? 0))
  const behind = `what the copies that write do not have yet (${formatBytes(worst)} now)`
  const since = logsWrites(spec) ? logLoss(spec) : 'all since the last snapshot'
  const some = bare.length === shards.length ? '' : `power failure: ${since}, and ${behind}`
  const none =
    bare.length === 0 ? '' : `power failure: everything of ${bare.join(', ')}, where no copy has its files now`
  return [some, none].filter((text) => text !== '').join('; ')
}

/** What the fullest files of a shard are behind its primary, in bytes. Null: there are none, as far as is known. */
function lagOfFiles(shard: ShardPicture, spec: Spec): number | null {
  const { primary, nodes } = shard
  if (primary?.facts == null) return null
  const { disk, offset, replid } = primary.facts
  const ownFiles = logsWrites(spec) ? disk.logs : (primary.agent?.config?.['save'] ?? '') !== ''
  if (ownFiles && primary.agent?.files[logsWrites(spec) ? 'aof' : 'rdb'] === true) return 0
  const lags = nodes
    .filter((node) => hasItsFiles(node, shard, spec))
    .flatMap(({ facts }) => (facts?.replid === replid ? [Math.max(0, offset - facts.offset)] : []))
  return lags.length === 0 ? null : Math.min(...lags)
}

/** `everysec` is on the disk after a second, or after two where the disk is busy. */
function logLoss(spec: Spec): string {
  switch (String(spec.config['appendfsync'] ?? 'everysec')) {
    case 'always':
      return 'nothing that was acknowledged'
    case 'no':
    case 'false':
      return 'what the operating system has not written yet, up to half a minute'
    default:
      return 'up to 2 s of writes'
  }
}
