import { renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { BackupFile, Job } from '@holdfast/core'
import { formatBytes, HoldfastError } from '@holdfast/core'
import type { EngineBinary } from '../../binary/engine-binary.ts'
import { explainDisk, makeDirectory, refuseFullDisk, syncDirectory } from './disk.ts'
import type { Watch } from './hash-file.ts'
import { linkOrCopy } from './hash-file.ts'
import { restorePaths } from './paths.ts'
import { loadForTrial } from './trial.ts'
import { refuseOtherThan } from './verify.ts'

export interface FetchPlace {
  readonly nodeDir: string
  readonly binary: EngineBinary
  readonly scratch: string
  readonly writer: string
}

/**
 * Brings a file of a backup beside the data of the node that shall start from it. The running deployment notices nothing:
 * a backup that is damaged is found out here, while nothing has been touched yet.
 */
export async function fetchFile(
  job: Extract<Job, { kind: 'fetch' }>,
  place: FetchPlace,
  watch: Watch,
): Promise<string> {
  const { fetched, fetchedFile, arrivingFile } = restorePaths(place.nodeDir)
  const target = fetchedFile(job.restore)
  const source = job.from === null ? arrivingFile(job.restore) : join(job.from, job.file.file)
  const told = `${job.file.file}: ${formatBytes(job.file.bytes)}, checksum as it should be`
  if (statSync(target, { throwIfNoEntry: false })?.size === job.file.bytes) return told
  const draft = `${target}.${place.writer}`
  try {
    makeDirectory(fetched)
    // The engine will write all of it once more, for its append-only file or for its replica.
    refuseFullDisk(fetched, 2 * job.file.bytes, `restoring ${job.file.shard}`)
    const found = await linkOrCopy(source, draft, 0, watch)
    refuseOtherThan(job.file, found, source)
    if (job.trial) await refuseUnloadable(draft, source, job.file, place, watch)
    watch.guard()
    renameSync(draft, target)
    if (job.from === null) rmSync(source, { force: true })
    syncDirectory(fetched)
    return told
  } catch (error) {
    rmSync(draft, { force: true })
    if (job.from === null && error instanceof HoldfastError && error.code === 'BACKUP_DAMAGED')
      rmSync(source, { force: true })
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new HoldfastError('BACKUP_DAMAGED', `${source} is gone. Nothing was touched; choose another backup.`, {
        path: source,
      })
    }
    throw explainDisk(error, fetched, `the file of ${job.file.shard}`)
  }
}

async function refuseUnloadable(
  path: string,
  source: string,
  file: BackupFile,
  { binary, scratch }: FetchPlace,
  { guard }: Watch,
): Promise<void> {
  const { verdict, because } = await loadForTrial(path, file, { binary, scratch, guard })
  if (verdict !== 'broken') return
  throw new HoldfastError(
    'BACKUP_DAMAGED',
    `${source}: ${binary.flavor} ${binary.version} cannot load it: ${because}. Nothing was touched; choose another backup, or another engine.`,
    { path: source, because },
  )
}
