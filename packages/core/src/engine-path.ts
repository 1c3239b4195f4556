/**
 * From which engine to which there is a way. Two questions: may an engine start on files that another one wrote, and may
 * it be the replica of another one. A rolling upgrade needs only the second, since a replica copies everything from its
 * primary; a restart in place needs the first.
 *
 * Both hang on the version of the snapshot format, which is also the base of an AOF and what a replica is sent at first.
 * A newer engine of one family reads all older ones; after 7.2 Redis and Valkey went apart. Redis 7.0, Valkey 8.0 and
 * Valkey 9.1 were tried in all nine directions (docs/upgrades.md); the others are by the numbers in their sources.
 */

import type { EngineBuild } from './engine-version.ts'
import { compareVersions } from './engine-version.ts'

/** Null: there is a way. Else why not, as the end of a sentence that names both. */
export type Obstacle = string | null

/** Snapshot formats by the first version that writes them, the newest first. */
const formats: Readonly<Record<EngineBuild['flavor'], readonly (readonly [since: string, format: number])[]>> = {
  redis: [
    ['7.4', 12],
    ['7.2', 11],
    ['7.0', 10],
    ['0', 9],
  ],
  valkey: [
    ['9.0', 80],
    ['0', 11],
  ],
}

/** The last format that both families read. */
const lastCommonFormat = 11

/** Whether an engine starts on the snapshot and the AOF that another one left. */
export function obstacleToReading(reader: EngineBuild, writer: EngineBuild): Obstacle {
  const [reads, written] = [formatOf(reader), formatOf(writer)]
  if (reader.flavor !== writer.flavor) {
    if (written > lastCommonFormat) return `${nameOf(writer)} writes a format that only ${familyOf(writer)} reads`
    return written > reads ? tooNew(writer, written, reader, reads) : null
  }
  // Redis 8 and what comes after it may write a format that this table does not have.
  const isLater = compareVersions(release(writer), release(reader)) > 0
  if (written > reads) return tooNew(writer, written, reader, reads)
  return isLater && writer.flavor === 'redis' && compareVersions(writer.version, '8.0') >= 0
    ? `${nameOf(writer)} is newer than ${nameOf(reader)}, which need not read its files`
    : null
}

/**
 * Whether an engine may be the replica of another one. An older replica is sent commands that it does not know, and
 * goes on without them: seen with Valkey 8.0 under 9.1, whose link stayed up while a field's expiry was lost.
 */
export function obstacleToFollowing(replica: EngineBuild, primary: EngineBuild): Obstacle {
  const reading = obstacleToReading(replica, primary)
  if (reading !== null) return reading
  if (primary.flavor === 'valkey' && replica.flavor === 'redis')
    return `nobody has tried ${nameOf(replica)} as a replica of ${nameOf(primary)}`
  if (primary.flavor === replica.flavor && compareVersions(release(replica), release(primary)) < 0)
    return `${nameOf(primary)} sends commands that ${nameOf(replica)} does not know, and a replica skips those silently`
  return null
}

const formatOf = ({ flavor, version }: EngineBuild): number =>
  formats[flavor].find(([since]) => compareVersions(version, since) >= 0)?.[1] ?? 0

function tooNew(writer: EngineBuild, written: number, reader: EngineBuild, reads: number): string {
  return `${nameOf(writer)} writes snapshots of format ${written}, and ${nameOf(reader)} reads them up to ${reads}`
}

/** A patch release neither changes what is written nor what is sent. */
const release = ({ version }: EngineBuild): string => version.split('.').slice(0, 2).join('.')

const nameOf = ({ flavor, version }: EngineBuild): string => `${familyName[flavor]} ${version}`
const familyName = { redis: 'Redis', valkey: 'Valkey' } as const
const familyOf = ({ flavor }: EngineBuild): string => familyName[flavor]
