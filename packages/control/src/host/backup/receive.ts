import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Action } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { explainDisk, makeDirectory, refuseFullDisk } from './disk.ts'
import { pieceBytes } from './far.ts'
import { writeAll } from './hash-file.ts'
import { isOperationId, restorePaths } from './paths.ts'

type Receive = Extract<Action, { kind: 'receive' }>

/**
 * Writes a piece of a file where it belongs. Any piece may come twice, and late: what is said of each place in the file is
 * always the same, and whether all of it is there, its checksum tells in the end.
 */
export async function receivePiece({ restore, at, of, piece }: Receive, nodeDir: string): Promise<void> {
  const end = at + piece.length
  const isSound = isOperationId(restore) && Number.isSafeInteger(at) && at >= 0 && end <= of
  if (!isSound || piece.length > pieceBytes) {
    throw new HoldfastError('USAGE', `a piece of ${piece.length} bytes at ${at} of ${of}: that is none`)
  }
  const { fetched, arrivingFile } = restorePaths(nodeDir)
  try {
    makeDirectory(fetched)
    // The engine will write all of it once more, for its append-only file or for its replica.
    if (at === 0) refuseFullDisk(fetched, 2 * of, 'restoring this file')
    const file = await open(arrivingFile(restore), constants.O_RDWR | constants.O_CREAT, 0o600)
    try {
      await writeAll(file, piece, at)
      if (end < of) return
      await file.truncate(of)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    throw explainDisk(error, fetched, 'what was sent for the restore')
  }
}
