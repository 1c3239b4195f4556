import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BackupFile, Job, TrialVerdict } from '@holdfast/core'
import { HoldfastError, manifestName, parseManifest, parseVerdict, verdictName } from '@holdfast/core'
import type { Clock } from '../../clock.ts'
import { writeAtomically } from '../../write-file.ts'
import { explainDisk } from './disk.ts'
import type { Watch } from './hash-file.ts'
import { hashFile } from './hash-file.ts'
import type { TrialPlace, Tried } from './trial.ts'
import { loadForTrial } from './trial.ts'

/**
 * Reads a backup as somebody would who has to restore it: checksums first, then every file into an engine. What came of
 * it is written beside the manifest; a backup that is broken stays where it is and says so.
 */
export async function verifyBackup(
  job: Extract<Job, { kind: 'verify' }>,
  place: Omit<TrialPlace, 'guard'>,
  clock: Clock,
  watch: Watch,
): Promise<TrialVerdict> {
  const path = join(job.directory, job.backup)
  const known = existsSync(join(path, verdictName))
    ? parseVerdict(readFileSync(join(path, verdictName), 'utf8'))
    : undefined
  if (known !== undefined) return known
  const beganAt = clock.now()
  const manifest = parseManifest(readFileSync(join(path, manifestName), 'utf8'), path)
  const { flavor, version } = place.binary
  const results: Tried[] = []
  let before = 0
  for (const file of manifest.files) {
    const progress = (bytes: number): void => watch.progress(before + bytes)
    results.push(await verifyFile(join(path, file.file), file, place, { ...watch, progress }))
    before += file.bytes
  }
  const worst =
    results.find(({ verdict }) => verdict === 'broken') ?? results.find(({ verdict }) => verdict !== 'verified')
  const verdict: TrialVerdict = {
    verdict: worst?.verdict ?? 'verified',
    because: worst?.because ?? results.map(({ because }) => because).join('; '),
    at: Math.round(clock.wall()),
    engine: { flavor, version },
    seconds: Math.round((clock.now() - beganAt) / 100) / 10,
  }
  try {
    writeAtomically(join(path, verdictName), `${JSON.stringify(verdict, null, 2)}\n`)
  } catch (error) {
    throw explainDisk(error, path, 'the result of the trial')
  }
  return verdict
}

async function verifyFile(
  path: string,
  file: BackupFile,
  place: Omit<TrialPlace, 'guard'>,
  watch: Watch,
): Promise<Tried> {
  try {
    await refuseAltered(path, file, watch)
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'BACKUP_DAMAGED') throw error
    return { verdict: 'broken', because: error.message }
  }
  return loadForTrial(path, file, { ...place, guard: watch.guard })
}

/** Throws BACKUP_DAMAGED where the file is not byte for byte what was taken. */
async function refuseAltered(path: string, file: BackupFile, watch: Watch): Promise<void> {
  const { bytes, sha256 } = await hashFile(path, 0, watch)
  refuseOtherThan(file, { bytes, sha256 }, path)
}

export function refuseOtherThan(file: BackupFile, found: { bytes: number; sha256: string }, path: string): void {
  if (found.bytes === file.bytes && found.sha256 === file.sha256) return
  const why =
    found.bytes === file.bytes
      ? `its checksum is ${found.sha256.slice(0, 12)}…, and should be ${file.sha256.slice(0, 12)}…: it was changed`
      : `it has ${found.bytes} bytes, and should have ${file.bytes}: it was cut short or changed`
  throw new HoldfastError('BACKUP_DAMAGED', `${path}: ${why}. Nothing was touched; choose another backup.`, {
    path,
    ...found,
    expected: file.sha256,
  })
}
