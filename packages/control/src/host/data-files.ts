import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import type { DataFiles } from '@holdfast/core'
import { LastRead } from './last-read.ts'

type Claim = NonNullable<DataFiles['claim']>

/** A data directory: heads of files, never their contents. */
export class DataDirectory {
  readonly #path: string
  readonly #own: LastRead<{ readonly claim: Claim; readonly claimsSlots: boolean } | null>
  readonly #logNames: LastRead<readonly string[]>
  readonly #snapshot: LastRead<{ readonly size: number; readonly begunAt: number | null }>
  #manifest: { readonly name: string; readonly files: LastRead<readonly string[]> } | null = null

  constructor(path: string) {
    this.#path = path
    this.#own = new LastRead(join(path, 'nodes.conf'), (file) => readClaim(readFileSync(file, 'utf8')), null)
    this.#logNames = new LastRead(join(path, logFolder), (folder) => readdirSync(folder), [])
    this.#snapshot = new LastRead(
      join(path, 'dump.rdb'),
      (file, { size }) => ({ size, begunAt: snapshotBegunAt(file) }),
      { size: 0, begunAt: null },
    )
  }

  /** What is there to start from. */
  files(): Omit<DataFiles, 'claim'> {
    const log = this.#log()
    const { size, begunAt } = this.#snapshot.value
    const rdb = size > 0
    return { aof: log !== null, rdb, rdbNewer: log !== null && rdb && isNewer(begunAt, log) }
  }

  /** Who its node was, and whether it owned slots. */
  own(): { readonly claim: DataFiles['claim']; readonly claimsSlots: boolean } {
    return this.#own.value ?? { claim: null, claimsSlots: false }
  }

  /** The files of a manifest, if all of them are there, or the single file of engines before Redis 7. */
  #log(): string[] | null {
    const names = this.#logNames.value
    const name = names.find((file) => file.endsWith('.manifest'))
    const single = join(this.#path, 'appendonly.aof')
    if (name === undefined) return existsSync(single) ? [single] : null
    const folder = join(this.#path, logFolder)
    if (this.#manifest?.name !== name) {
      this.#manifest = { name, files: new LastRead(join(folder, name), readManifest, []) }
    }
    const files = this.#manifest.files.value
    return files.length > 0 && files.every((file) => names.includes(file))
      ? files.map((file) => join(folder, file))
      : null
  }
}

const readManifest = (path: string): string[] =>
  [...readFileSync(path, 'utf8').matchAll(/^file (\S+) seq \d+ type [bi]/gm)].map(([, file]) => file ?? '')

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

export const logFolder = 'appendonlydir'
const endedLog = 'appendonlydir.ended'

/** Whether a snapshot was begun after the last write to a log: then it has all that the log has. */
const isNewer = (begunAt: number | null, log: readonly string[]): boolean =>
  begunAt !== null && log.every((file) => begunAt * 1000 > modifiedAt(file))

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
  const file = openSync(path, 'r')
  try {
    return head.subarray(0, readSync(file, head, 0, bytes, 0))
  } finally {
    closeSync(file)
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
function readClaim(text: string): { claim: Claim; claimsSlots: boolean } | null {
  const line = text.split('\n').find((one) => one.includes('myself'))
  const fields = line?.split(' ') ?? []
  const [engineId, , flags, , , , epoch] = fields
  if (engineId === undefined || flags === undefined || epoch === undefined) return null
  const role = flags.includes('slave') ? 'replica' : 'primary'
  return {
    claim: { engineId, role, configEpoch: Number(epoch) },
    claimsSlots: fields.slice(8).some((slot) => /^\d/.test(slot)),
  }
}
