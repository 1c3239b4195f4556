/** The backups below a directory, as they are on the disk. */
import { lstatSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import type { BackupFound, BackupListed, Manifest } from '@holdfast/core'
import {
  formatBytes,
  HoldfastError,
  listed,
  manifestName,
  newestFirst,
  outlived,
  parseManifest,
  parseVerdict,
  verdictName,
} from '@holdfast/core'
import { explainDisk, syncDirectory } from './disk.ts'
import { isPart } from './paths.ts'

/** A manifest is small; what is larger is something else. */
const manifestBytesMax = 16 * 1024 * 1024

/** All that lie there, the newest first. A directory that nobody has made yet has none. */
export function listBackups(directory: string): readonly BackupListed[] {
  return namesIn(directory)
    .filter((name) => !name.startsWith('.') && lstatSync(join(directory, name)).isDirectory())
    .map((name) => listed(findBackup(join(directory, name), name)))
    .sort(newestFirst)
}

/**
 * A backup that somebody wants to restore from, checked as far as that goes without reading its data. Throws
 * BACKUP_UNREADABLE or BACKUP_DAMAGED.
 */
export function openBackup(path: string): { manifest: Manifest; state: BackupListed['state']; because: string } {
  if (!isAbsolute(path)) throw new HoldfastError('USAGE', `${path}: name the backup by its absolute path`, { path })
  const manifest = readManifest(path)
  const damage = damageOf(path, manifest)
  if (damage !== null) {
    throw new HoldfastError('BACKUP_DAMAGED', `${path}: ${damage}. Nothing was touched; choose another backup.`, {
      path,
    })
  }
  const { state, because } = listed({ ...findBackup(path, manifest.id) })
  if (state === 'broken') {
    throw new HoldfastError(
      'BACKUP_DAMAGED',
      `${path}: loading it for trial failed: ${because}. Nothing was touched; choose another backup.`,
      { path },
    )
  }
  return { manifest, state, because }
}

/** Removes what interrupted backups have left, and those that are older than the ones to keep. */
export function tidy(directory: string, deployment: string, keep: number): string {
  const parts = namesIn(directory).filter(isPart)
  const mine = listBackups(directory).filter((backup) => isOf(backup.path, deployment))
  const goes = [...parts, ...outlived(mine, keep).map(({ id }) => id)]
  try {
    for (const name of goes) rmSync(join(directory, name), { recursive: true, force: true })
    if (goes.length > 0) syncDirectory(directory)
  } catch (error) {
    throw explainDisk(error, directory, 'removing old backups')
  }
  return goes.length === 0 ? 'nothing is left over' : `removed ${goes.join(', ')}`
}

/** What cannot be told to be of this deployment is not ours to remove. */
function isOf(path: string, deployment: string): boolean {
  try {
    return readManifest(path).deployment === deployment
  } catch {
    return false
  }
}

function findBackup(path: string, id: string): BackupFound {
  try {
    const manifest = readManifest(path)
    const verdict = parseVerdict(readText(join(path, verdictName))) ?? null
    return { id, path, manifest, verdict, damage: damageOf(path, manifest) }
  } catch (error) {
    return { id, path, manifest: null, verdict: null, damage: error instanceof Error ? error.message : String(error) }
  }
}

function readManifest(path: string): Manifest {
  const file = join(path, manifestName)
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined || !stat.isFile() || stat.size > manifestBytesMax) {
    const why =
      stat === undefined
        ? `there is no ${manifestName}: it is no backup, or one that was not finished`
        : `its ${manifestName} is no file of a sensible size`
    throw new HoldfastError('BACKUP_UNREADABLE', `${path}: ${why}. Nothing was touched; choose another backup.`, {
      path,
    })
  }
  return parseManifest(readFileSync(file, 'utf8'), path)
}

/** A file that is not there, or not as long as it should be. Whether it was changed, only reading it tells. */
function damageOf(path: string, { files }: Manifest): string | null {
  for (const { file, bytes } of files) {
    const stat = lstatSync(join(path, file), { throwIfNoEntry: false })
    if (stat === undefined) return `${file} is missing`
    if (!stat.isFile()) return `${file} is no regular file`
    if (stat.size !== bytes)
      return `${file} has ${formatBytes(stat.size)} (${stat.size} bytes), and should have ${bytes} bytes: it was cut short or changed`
  }
  return null
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw explainDisk(error, directory, 'the list of backups')
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
