/** The file of one shard in a backup that is not finished, and its record, which is written after it. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { BackupFile, PartAsked } from '@holdfast/core'
import { formatBytes, HoldfastError } from '@holdfast/core'
import { writeAtomically } from '../../write-file.ts'
import { pieceBytes } from './far.ts'
import { isOperationId, partOf, takenPath } from './paths.ts'

/** The record of a part that is whole; undefined where it has to be taken. */
export function readPart(part: string, shard: string): BackupFile | undefined {
  const path = join(part, `${shard}.json`)
  if (!existsSync(path)) return undefined
  const record = JSON.parse(readFileSync(path, 'utf8')) as BackupFile
  return statSync(join(part, record.file), { throwIfNoEntry: false })?.size === record.bytes ? record : undefined
}

export const describePart = ({ shard, bytes, keys, takenFrom }: BackupFile): string =>
  `${shard}: ${keys ?? 'an unknown number of'} keys, ${formatBytes(bytes)}, from ${takenFrom.node} (${takenFrom.role})`

/** From now on it is whole. */
export function keepPart(part: string, record: BackupFile): void {
  writeAtomically(join(part, `${record.shard}.json`), JSON.stringify(record))
}

/** A piece of what lies beside a node, to be collected. Throws BACKUP_DAMAGED where there is no whole snapshot. */
export async function readPiece({ backup, shard, node, what, at }: PartAsked, nodeDir: string): Promise<Uint8Array> {
  if (!isOperationId(backup) || !isOperationId(shard))
    throw new HoldfastError('USAGE', 'that names no backup of a shard')
  const part = partOf(takenPath(nodeDir), backup)
  const record = readPart(part, shard)
  if (record === undefined) {
    const because = `${node} has no whole snapshot of ${shard} any more: take the backup again`
    throw new HoldfastError('BACKUP_DAMAGED', because, { node, shard, backup })
  }
  const file = await open(join(part, what === 'data' ? record.file : `${shard}.json`), 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(pieceBytes), 0, pieceBytes, at)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
