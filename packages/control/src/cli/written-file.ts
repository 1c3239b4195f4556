import { closeSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { HoldfastError } from '@holdfast/core'

/** A file that will be written: whole, or not at all. */
export interface WrittenFile {
  write(text: string): void
  /** Leaves nothing behind, unless it was written. */
  giveUp(): void
}

/** Finds out before anything happens whether a file can be written there. Throws USAGE. */
export function claimFile(path: string): WrittenFile {
  const beside = `${path}.${process.pid}.part`
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) throw new Error('it is a directory')
    closeSync(openSync(beside, 'wx'))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new HoldfastError('USAGE', `cannot write ${path}: ${why}. Nothing was done.`, { path }, error)
  }
  return {
    write: (text) => {
      writeFileSync(beside, text)
      renameSync(beside, path)
    },
    giveUp: () => rmSync(beside, { force: true }),
  }
}
