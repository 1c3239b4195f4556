import { stat } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { mayExecute } from './probe.ts'

/** The directories of a PATH, each once. Relative and empty ones are left out: what runs must not depend on where we stand. */
export function directoriesOf(path: string): string[] {
  return [...new Set(path.split(delimiter).filter(isAbsolute))]
}

/** Every program of that name in these directories, in their order. */
export async function programsNamed(name: string, directories: readonly string[]): Promise<string[]> {
  const files = directories.map((directory) => join(directory, name))
  const runnable = await Promise.all(files.map(isProgram))
  return files.filter((_, index) => runnable[index])
}

/** The first program that has one of these names. An earlier name beats an earlier directory. */
export async function firstProgram(names: readonly string[], directories: readonly string[]): Promise<string | null> {
  for (const name of names) {
    const [first] = await programsNamed(name, directories)
    if (first !== undefined) return first
  }
  return null
}

async function isProgram(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => null)
  return found?.isFile() === true && (await mayExecute(file))
}
