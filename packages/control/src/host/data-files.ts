import { closeSync, openSync, readdirSync, readFileSync, readSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { DataFiles } from '@holdfast/core'

/** What a data directory holds: heads of files, never their contents. */
export function readDataFiles(directory: string): DataFiles & { readonly claimsSlots: boolean } {
  const claim = readClaim(join(directory, 'nodes.conf'))
  const log = appendOnlyFiles(directory)
  const rdb = sizeOf(join(directory, 'dump.rdb')) > 0
  return {
    aof: log !== null,
    rdb,
    rdbNewer: log !== null && rdb && isNewer(join(directory, 'dump.rdb'), log),
    claim: claim?.claim ?? null,
    claimsSlots: claim?.claimsSlots ?? false,
  }
}

/** Who the node of this directory was, and whether it owned slots. */
export function readOwnClaim(directory: string): { claim: DataFiles['claim']; claimsSlots: boolean } {
  return readClaim(join(directory, 'nodes.conf')) ?? { claim: null, claimsSlots: false }
}

/**
 * Deletes the files of a persistence that is over. A log is a folder: it goes under another name first, in one step, so
 * that a crash in the middle leaves no log of which a part is missing.
 */
export function dropFiles(directory: string, what: 'aof' | 'rdb'): void {
  if (what === 'rdb') return rmSync(join(directory, 'dump.rdb'), { force: true })
  rmSync(join(directory, endedLog), { recursive: true, force: true })
  rmSync(join(directory, 'appendonly.aof'), { force: true })
  try {
    renameSync(join(directory, logFolder), join(directory, endedLog))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  rmSync(join(directory, endedLog), { recursive: true, force: true })
}

const logFolder = 'appendonlydir'
const endedLog = 'appendonlydir.ended'

/** The files of a manifest, if all of them are there, or the single file of engines before Redis 7. */
function appendOnlyFiles(directory: string): string[] | null {
  const inside = join(directory, logFolder)
  const manifest = listOf(inside).find((file) => file.endsWith('.manifest'))
  const single = join(directory, 'appendonly.aof')
  if (manifest === undefined) return sizeOf(single) >= 0 ? [single] : null
  const files = [...readText(join(inside, manifest)).matchAll(/^file (\S+) seq \d+ type [bi]/gm)].map(([, file]) =>
    join(inside, file ?? ''),
  )
  return files.length > 0 && files.every((file) => sizeOf(file) >= 0) ? files : null
}

/** Whether a snapshot was begun after the last write to a log: then it has all that the log has. */
function isNewer(snapshot: string, log: readonly string[]): boolean {
  const begunAt = snapshotBegunAt(snapshot)
  return begunAt !== null && log.every((file) => begunAt * 1000 > modifiedAt(file))
}

/** A snapshot says in its head, in seconds since 1970, when it was begun; its file is only finished later. */
function snapshotBegunAt(path: string): number | null {
  const head = headOf(path, 512)
  const at = head.indexOf('\u0005ctime', 0, 'latin1')
  if (at < 0) return null
  const value = head.subarray(at + 6)
  // A small number is written in the bytes of an integer: 0xC2 and four bytes, the lowest first.
  if (value[0] === 0xc2 && value.length >= 5) return value.readUInt32LE(1)
  const digits = value.subarray(1, 1 + (value[0] ?? 0)).toString('latin1')
  return /^\d+$/.test(digits) ? Number(digits) : null
}

function headOf(path: string, bytes: number): Buffer {
  const head = Buffer.alloc(bytes)
  try {
    const file = openSync(path, 'r')
    try {
      return head.subarray(0, readSync(file, head, 0, bytes, 0))
    } finally {
      closeSync(file)
    }
  } catch {
    return head.subarray(0, 0)
  }
}

function modifiedAt(path: string): number {
  try {
    return statSync(path).mtimeMs
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/** The node's own line in nodes.conf: who it was, and whether it owned slots. */
function readClaim(path: string): { claim: NonNullable<DataFiles['claim']>; claimsSlots: boolean } | null {
  const line = readText(path)
    .split('\n')
    .find((text) => text.includes('myself'))
  const fields = line?.split(' ') ?? []
  const [engineId, , flags, , , , epoch] = fields
  if (engineId === undefined || flags === undefined || epoch === undefined) return null
  const role = flags.includes('slave') ? 'replica' : 'primary'
  return {
    claim: { engineId, role, configEpoch: Number(epoch) },
    claimsSlots: fields.slice(8).some((slot) => /^\d/.test(slot)),
  }
}

function listOf(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** -1 where there is no file. */
function sizeOf(path: string): number {
  try {
    return statSync(path).size
  } catch {
    return -1
  }
}
