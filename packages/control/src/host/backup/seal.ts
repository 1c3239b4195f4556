import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { BackupFile, Job } from '@holdfast/core'
import { bytesOf, formatBytes, HoldfastError, Manifest, manifestName, manifestVersion } from '@holdfast/core'
import { writeAtomically } from '../../write-file.ts'
import { explainDisk, syncDirectory } from './disk.ts'
import { readPart } from './part.ts'
import { partOf } from './paths.ts'

/** Writes the manifest of a backup whose parts are all there, and only then gives its directory the name of a backup. */
export function sealBackup(job: Extract<Job, { kind: 'seal' }>, wallNow: number): string {
  const { directory, backup, head, shards } = job
  const [part, path] = [partOf(directory, backup), join(directory, backup)]
  if (existsSync(join(path, manifestName))) return `${path} is written`
  try {
    const files = shards.map((shard) => partAt(part, shard))
    removeDrafts(part, shards)
    const engine = files[0]?.takenFrom.engine
    const manifest = Manifest.parse({ ...head, engine, manifestVersion, finishedAt: Math.round(wallNow), files })
    writeAtomically(join(part, manifestName), `${JSON.stringify(manifest, null, 2)}\n`)
    syncDirectory(part)
    renameSync(part, path)
    syncDirectory(directory)
    for (const shard of shards) rmSync(join(path, `${shard}.json`), { force: true })
    return `${path}: ${shards.length} files, ${formatBytes(bytesOf(manifest))}`
  } catch (error) {
    throw explainDisk(error, directory, `backup ${backup}`)
  }
}

/** What a process that was killed in the middle of a file has left. */
function removeDrafts(part: string, shards: readonly string[]): void {
  const known = new Set(shards.flatMap((shard) => [`${shard}.rdb`, `${shard}.json`]))
  for (const name of readdirSync(part)) if (!known.has(name)) rmSync(join(part, name), { recursive: true, force: true })
}

function partAt(part: string, shard: string): BackupFile {
  const record = readPart(part, shard)
  if (record !== undefined) return record
  throw new HoldfastError('ENGINE_REFUSED', `${part} has no whole file of ${shard} any more: take the backup again`, {
    part,
    shard,
  })
}
