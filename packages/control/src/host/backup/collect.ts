import { createHash } from 'node:crypto'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { BackupFile, Job } from '@holdfast/core'
import { HoldfastError, manifestName } from '@holdfast/core'
import { explainDisk, makeDirectory, refuseFullDisk, syncDirectory } from './disk.ts'
import type { Far } from './far.ts'
import type { Watch } from './hash-file.ts'
import { writeAll } from './hash-file.ts'
import { describePart, keepPart, readPart } from './part.ts'
import { partOf } from './paths.ts'

type CollectJob = Extract<Job, { kind: 'collect' }>

interface CollectPlace {
  readonly far: Far
  /** Distinguishes what this process writes from what one before it has left. */
  readonly writer: string
}

/**
 * Brings the snapshot of one shard from the host that took it into the backup. It gets its name only when its checksum
 * has been compared, so whoever comes after a kill finds all of it or none, as where it was taken here.
 */
export async function collectPart(job: CollectJob, { far, writer }: CollectPlace, watch: Watch): Promise<string> {
  const { directory, backup, shard } = job
  const part = partOf(directory, backup)
  if (existsSync(join(directory, backup, manifestName))) return `${shard} is in ${backup}`
  try {
    makeDirectory(part)
    const known = readPart(part, shard)
    if (known !== undefined) return describePart(known)
    const record = await far.record(job, watch.guard)
    refuseFullDisk(directory, record.bytes, `the backup of ${shard}`)
    const draft = join(part, `${record.file}.${writer}`)
    try {
      await bring(job, record, draft, far, watch)
      watch.guard()
      renameSync(draft, join(part, record.file))
    } catch (error) {
      rmSync(draft, { force: true })
      throw error
    }
    keepPart(part, record)
    syncDirectory(part)
    return describePart(record)
  } catch (error) {
    throw explainDisk(error, directory, `the backup of ${shard}`)
  }
}

/** Throws BACKUP_DAMAGED where what arrived is not what was sent. */
async function bring(job: CollectJob, record: BackupFile, draft: string, far: Far, watch: Watch): Promise<void> {
  const target = await open(draft, 'w', 0o600)
  const hash = createHash('sha256')
  try {
    let bytes = 0
    while (bytes < record.bytes) {
      const piece = await far.read(job, bytes, watch.guard)
      if (piece.length === 0) break
      hash.update(piece)
      await writeAll(target, piece)
      bytes += piece.length
      watch.progress(bytes)
    }
    refuseAltered(job, record, bytes, hash.digest('hex'))
    await target.sync()
  } finally {
    await target.close()
  }
}

function refuseAltered({ shard, host }: CollectJob, record: BackupFile, bytes: number, sha256: string): void {
  if (bytes === record.bytes && sha256 === record.sha256) return
  throw new HoldfastError(
    'BACKUP_DAMAGED',
    `what arrived of ${shard} from host ${host} is not what was taken there (${bytes} of ${record.bytes} bytes, checksum ${sha256.slice(0, 12)}…, should be ${record.sha256.slice(0, 12)}…). Nothing of it is kept: take the backup again, and look at the disk and the memory of ${host} where it fails again.`,
    { shard, host, bytes, sha256 },
  )
}
