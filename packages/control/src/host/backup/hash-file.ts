import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { link, open, rm } from 'node:fs/promises'

/** Small enough that nothing else in this process waits for a piece to be hashed. */
const pieceBytes = 256 * 1024
/** How much is written between two questions whether this controller may still act. */
const guardEveryBytes = 8 * 1024 * 1024

export interface Watch {
  /** Throws where this work is no longer wanted, or another controller has taken over. */
  readonly guard: () => void
  /** Told how much has been done of it. */
  readonly progress: (bytes: number) => void
}

export interface Hashed {
  readonly bytes: number
  readonly sha256: string
  /** The first bytes of it, as many as were asked for. */
  readonly head: Buffer
}

/** The checksum of a file, read once. */
export async function hashFile(path: string, headBytes: number, watch: Watch): Promise<Hashed> {
  return pour(path, null, headBytes, watch)
}

/**
 * The same file under another name, and its checksum. A second name for the same bytes where the file system has that:
 * an engine never changes a snapshot, it puts another file in its place. Else a copy, on the disk when this returns.
 */
export async function linkOrCopy(from: string, to: string, headBytes: number, watch: Watch): Promise<Hashed> {
  await rm(to, { force: true })
  try {
    await link(from, to)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EACCES'].includes(code ?? '')) throw error
    return copyFile(from, to, headBytes, watch)
  }
  return hashFile(to, headBytes, watch)
}

async function copyFile(from: string, to: string, headBytes: number, watch: Watch): Promise<Hashed> {
  const target = await open(to, 'wx', 0o600)
  try {
    const hashed = await pour(from, target, headBytes, watch)
    await target.sync()
    return hashed
  } catch (error) {
    await rm(to, { force: true })
    throw error
  } finally {
    await target.close()
  }
}

async function pour(from: string, target: FileHandle | null, headBytes: number, watch: Watch): Promise<Hashed> {
  const source = await open(from, 'r')
  try {
    const hash = createHash('sha256')
    const piece = Buffer.allocUnsafe(pieceBytes)
    const heads: Buffer[] = []
    let [bytes, headLeft, guardedAt] = [0, headBytes, 0]
    watch.guard()
    for (;;) {
      const { bytesRead } = await source.read(piece, 0, pieceBytes, null)
      if (bytesRead === 0) break
      const read = piece.subarray(0, bytesRead)
      hash.update(read)
      if (target !== null) await writeAll(target, read)
      if (headLeft > 0) heads.push(Buffer.from(read.subarray(0, headLeft)))
      headLeft -= bytesRead
      bytes += bytesRead
      watch.progress(bytes)
      if (bytes - guardedAt >= guardEveryBytes) {
        watch.guard()
        guardedAt = bytes
      }
    }
    return { bytes, sha256: hash.digest('hex'), head: Buffer.concat(heads) }
  } finally {
    await source.close()
  }
}

/** Writes all of it, at a place of the file or where the last writing ended. */
export async function writeAll(target: FileHandle, bytes: Uint8Array, place: number | null = null): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const position = place === null ? null : place + done
    done += (await target.write(bytes, done, bytes.length - done, position)).bytesWritten
  }
}
