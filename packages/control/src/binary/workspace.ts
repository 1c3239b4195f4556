/**
 * A fetch works in a directory of its own beside the finished engines, and renames its result into place as the last
 * step: a half unpacked engine never has the name of a finished one. Two processes that fetch at the same time do not
 * meet before that rename; the slower one finds the name taken and uses what is there.
 */

import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'

export const enginesDir = (home: string): string => join(home, 'engines')

/** Runs `work` with a directory that is gone afterwards. Clears first what killed fetches left behind. */
export async function withWorkspace<T>(home: string, work: (directory: string) => Promise<T>): Promise<T> {
  const engines = enginesDir(home)
  await makeDirectory(engines)
  await clearLeftovers(engines)
  const directory = join(engines, workspaceName(hostname(), process.pid, randomUUID()))
  await mkdir(directory, { mode: 0o700 })
  try {
    return await work(directory)
  } finally {
    await removeQuietly(directory)
  }
}

/**
 * Gives a finished tree its name. When that is taken by one that works, another process was quicker and its tree
 * stays; one that does not work is moved aside, into the workspace, where it is removed with it.
 */
export async function putInPlace(
  tree: string,
  place: string,
  workspace: string,
  works: (tree: string) => Promise<boolean>,
): Promise<void> {
  for (const attempt of [1, 2, 3]) {
    if (await renamed(tree, place)) return
    if (await works(place)) return
    await renamed(place, join(workspace, `broken-${attempt}`))
  }
  throw new Error(`${place} is being replaced by another process again and again`)
}

export const workspaceName = (host: string, pid: number, unique: string): string => `.fetch-${unique}-${pid}-${host}`

export interface LeftoverFacts {
  readonly host: string
  readonly isAlive: (pid: number) => boolean
  readonly ageMs: number
}

/**
 * Whether a directory was left by a fetch that will not come back. A process id means something on its own machine
 * only (a container has another host name); for the rest, no fetch takes an hour.
 */
export function isLeftover(name: string, facts: LeftoverFacts): boolean {
  const [, pid, host] = /^\.fetch-[0-9a-f-]{36}-(\d+)-(.*)$/.exec(name) ?? []
  if (pid === undefined) return false
  return facts.ageMs > 3_600_000 || (host === facts.host && !facts.isAlive(Number(pid)))
}

/** One by one, because on a read-only disk Node's own recursive way says ENOENT and hides the reason. */
async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 })
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') return
    if (codeOf(cause) !== 'ENOENT' || dirname(directory) === directory) throw cause
    await makeDirectory(dirname(directory))
    // Another process may have been quicker by now.
    await makeDirectory(directory)
  }
}

async function clearLeftovers(engines: string): Promise<void> {
  for (const name of await readdir(engines)) {
    const found = await stat(join(engines, name)).catch(() => null)
    if (found === null) continue
    const facts = { host: hostname(), isAlive, ageMs: Date.now() - found.mtimeMs }
    if (isLeftover(name, facts)) await removeQuietly(join(engines, name))
  }
}

/**
 * A directory that cannot be removed now is a leftover for the next fetch; the engine is there all the same. The apt
 * of a killed fetch may still be writing when its directory goes, hence the retries.
 */
const removeQuietly = (directory: string): Promise<void> =>
  rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }).catch(() => undefined)

async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (cause) {
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'ENOENT'].includes(codeOf(cause))) return false
    throw cause
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    // Somebody else's process may not be asked, but it is there.
    return codeOf(cause) === 'EPERM'
  }
}

const codeOf = (cause: unknown): string => (cause instanceof Error && 'code' in cause ? String(cause.code) : '')
