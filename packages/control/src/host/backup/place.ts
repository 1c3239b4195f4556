/**
 * Puts a node's data aside and a fetched file, or nothing, in its place. After this the node is as new: it has another
 * identity, no record, and no claim to anything.
 *
 * The mark is written last. Until it is there, doing it again does it from the start, and the data that was there before
 * is put aside once, the first time.
 */
import { existsSync, linkSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import { processesIn } from '../../proc.ts'
import { writeAtomically } from '../../write-file.ts'
import { logFolder } from '../data-files.ts'
import { LastRead } from '../last-read.ts'
import { makeDirectory, syncDirectory } from './disk.ts'
import { beforePrefix, restorePaths, takenPath } from './paths.ts'

export interface Placing {
  readonly node: string
  readonly nodeDir: string
  readonly dataDir: string
  readonly restore: string
  /** The size of the file that it shall start from; null: it starts with nothing, and follows. */
  readonly bytes: number | null
  /** Its engine writes an append-only file in parts, and the file is the first of them. */
  readonly asLog: boolean
  /** Forgets what the agent knows of the node. Called before the mark. */
  readonly forget: () => void
}

export function placeFetched({ node, nodeDir, dataDir, restore, bytes, asLog, forget }: Placing): void {
  if (placedRestore(nodeDir) === restore) return
  const { mark, fetchedFile, ...paths } = restorePaths(nodeDir)
  const before = paths.before(restore)
  const source = fetchedFile(restore)
  if (bytes !== null && statSync(source, { throwIfNoEntry: false })?.size !== bytes) {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `${node} has not fetched what it shall start from: ${source} is not there`,
      {
        node,
      },
    )
  }
  const running = processesIn(dataDir)
  if (running.length > 0) {
    throw new HoldfastError('REFUSED_UNSAFE', `${node} still runs (pid ${running[0]?.pid}): its data is not replaced`, {
      node,
    })
  }
  makeDirectory(nodeDir)
  if (existsSync(dataDir)) {
    // What is put aside stays what it was first: a second time round, there is nothing here but our own draft.
    if (existsSync(before)) rmSync(dataDir, { recursive: true, force: true })
    else renameSync(dataDir, before)
  }
  makeDirectory(dataDir)
  if (bytes !== null) linkData(source, dataDir, asLog)
  syncDirectory(dataDir)
  syncDirectory(nodeDir)
  forget()
  writeAtomically(mark, restore)
  syncDirectory(dirname(mark))
}

/**
 * As a snapshot; or as the base of an append-only file, so that the engine logs from its first write on, and need not
 * write all of it a second time before it may.
 */
function linkData(source: string, dataDir: string, asLog: boolean): void {
  if (!asLog) return linkSync(source, join(dataDir, 'dump.rdb'))
  const folder = join(dataDir, logFolder)
  const base = 'appendonly.aof.1.base.rdb'
  makeDirectory(folder)
  linkSync(source, join(folder, base))
  writeAtomically(join(folder, 'appendonly.aof.manifest'), `file ${base} seq 1 type b\n`)
  syncDirectory(folder)
}

/** The restore that this node's data began with; null where there was none. */
function placedRestore(nodeDir: string): string | null {
  try {
    return readFileSync(restorePaths(nodeDir).mark, 'utf8')
  } catch {
    return null
  }
}

/** What backups and restores have left beside a node's data. */
export class RestoreFiles {
  readonly #mark: LastRead<string | null>
  readonly #hasFiles: LastRead<boolean>

  constructor(nodeDir: string) {
    this.#mark = new LastRead(restorePaths(nodeDir).mark, (path) => readFileSync(path, 'utf8'), null)
    this.#hasFiles = new LastRead(nodeDir, () => restoreFilesIn(nodeDir).length > 0, false)
  }

  /** The restore that its data began with, null where there was none, and whether files lie there that nothing needs once it is over. */
  seen(): { readonly placed: string | null; readonly hasFiles: boolean } {
    return { placed: this.#mark.value, hasFiles: this.#hasFiles.value }
  }
}

/** Removes the files of backups and restores. `dropSnapshot`: without persistence nothing may come back from the file that it began with. */
export function clearRestore(nodeDir: string, dataDir: string, dropSnapshot: boolean): void {
  for (const path of restoreFilesIn(nodeDir)) rmSync(path, { recursive: true, force: true })
  if (dropSnapshot) rmSync(join(dataDir, 'dump.rdb'), { force: true })
}

function restoreFilesIn(nodeDir: string): string[] {
  const folders = [restorePaths(nodeDir).fetched, takenPath(nodeDir)].map((path) => basename(path))
  return listOf(nodeDir)
    .filter((name) => folders.includes(name) || name.startsWith(beforePrefix))
    .map((name) => join(nodeDir, name))
}

function listOf(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
