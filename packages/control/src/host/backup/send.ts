import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Job } from '@holdfast/core'
import { formatBytes, HoldfastError } from '@holdfast/core'
import type { Far } from './far.ts'
import { pieceBytes } from './far.ts'
import type { Watch } from './hash-file.ts'

/** Brings a file of a backup to the host of the node that shall start from it. Whether it is whole is judged there. */
export async function sendFile(job: Extract<Job, { kind: 'send' }>, far: Far, watch: Watch): Promise<string> {
  const { from, file, host, node, restore } = job
  const path = join(from, file.file)
  const source = await open(path, 'r').catch((error: unknown) => {
    throw new HoldfastError(
      'BACKUP_DAMAGED',
      `${path} cannot be read on this machine. Nothing was touched; choose another backup, or restore it where it is.`,
      { path },
      error,
    )
  })
  try {
    const to = { host, node, restore, of: file.bytes }
    const room = Buffer.alloc(pieceBytes)
    for (let at = 0; at < file.bytes; ) {
      const { bytesRead } = await source.read(room, 0, Math.min(pieceBytes, file.bytes - at), at)
      if (bytesRead === 0) break
      await far.write(to, at, room.subarray(0, bytesRead), watch.guard)
      at += bytesRead
      watch.progress(at)
    }
    return `${file.file}: ${formatBytes(file.bytes)} to ${host}`
  } catch (error) {
    if (!(error instanceof HoldfastError) || !error.code.startsWith('HOST_')) throw error
    throw new HoldfastError(error.code, `host ${host}: ${error.message}`, { ...error.facts, host }, error)
  } finally {
    await source.close()
  }
}
