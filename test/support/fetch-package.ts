/**
 * A program of the system's package sources for the tests, fetched like an engine: unpacked with what it needs beyond
 * the machine's own packages, and not installed, so it takes no root and leaves the system as it is. It has its name
 * only after it was seen running.
 */
import { chmodSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { AptTools } from '../../packages/control/src/binary/apt.ts'
import { download, findAptTools, prepareApt, readLists, unpackAll } from '../../packages/control/src/binary/apt.ts'
import type { AptPlace, Download } from '../../packages/control/src/binary/debian.ts'
import { aptOptions, parseDownloads } from '../../packages/control/src/binary/debian.ts'
import { directoriesOf } from '../../packages/control/src/binary/lookup.ts'
import { run } from '../../packages/control/src/binary/run.ts'
import { enginesDir, putInPlace, withWorkspace } from '../../packages/control/src/binary/workspace.ts'

export interface PackageWanted {
  /** How people call it. */
  readonly title: string
  /** What installs it, for the sentence that says why it is not there. */
  readonly install: string
  /** Its package, as the sources of this system name it. */
  readonly packageOf: (sources: Sources) => Promise<string>
  /** Packages that are left out of what it needs. */
  readonly leaveOut?: RegExp
  /** Takes away what is not needed of what was unpacked. */
  readonly trim?: (tree: string) => void
  /** Why what was unpacked does not run. */
  readonly obstacle: (tree: string) => Promise<string | undefined>
}

/** The answer of `apt-cache` to a question about a package. */
export type Sources = (question: readonly string[], name: string) => Promise<string>

/** The folder that it was unpacked to, below the home. */
export async function fetchPackage(wanted: PackageWanted, home: string): Promise<string> {
  const path = process.env['PATH'] ?? ''
  const tools = process.platform === 'linux' ? await findAptTools(directoriesOf(path)) : null
  if (tools === null)
    throw new Error(`the tests need ${wanted.title}, and without apt-get it cannot be fetched. ${wanted.install}`)
  return withWorkspace(home, async (workspace) => {
    letThrough(home)
    const workDir = join(workspace, 'apt')
    await prepareApt(workDir)
    const { name, tree } = await unpackByAnyLists(wanted, tools, workspace, workDir)
    wanted.trim?.(tree)
    // Nobody but us gets through the workspace, so whether it runs as its user is seen in its place.
    const place = join(enginesDir(home), name)
    await putInPlace(tree, place, workspace, async (other) => (await wanted.obstacle(other)) === undefined)
    const obstacle = await wanted.obstacle(place)
    if (obstacle !== undefined) throw new Error(`${name}, unpacked to ${place}, does not run: ${obstacle}`)
    return place
  })
}

/** Debian keeps libraries in a folder for the machine's architecture: `usr/lib/x86_64-linux-gnu`. */
export function librariesIn(tree: string): Readonly<Record<string, string>> {
  const libraries = [join(tree, 'usr', 'lib'), join(tree, 'lib')].flatMap((root) =>
    namesIn(root)
      .filter((name) => name.includes('-linux-'))
      .map((name) => join(root, name)),
  )
  return libraries.length === 0 ? {} : { LD_LIBRARY_PATH: libraries.join(delimiter) }
}

export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

interface Unpacked {
  readonly name: string
  readonly tree: string
}

/** By the package lists of this machine; where those are missing, or too old to be served still, by fresh ones. */
async function unpackByAnyLists(
  wanted: PackageWanted,
  tools: AptTools,
  workspace: string,
  workDir: string,
): Promise<Unpacked> {
  try {
    return await unpackBy(wanted, { workDir, lists: 'system' }, tools, workspace)
  } catch {
    console.log(`reading package lists for ${wanted.title} ...`)
    const complaint = await readLists(tools, { workDir, lists: 'own' })
    return await unpackBy(wanted, { workDir, lists: 'own' }, tools, workspace).catch((cause: unknown) => {
      const why = complaint ?? (cause instanceof Error ? cause.message : String(cause))
      throw new Error(`cannot fetch ${wanted.title} for the tests: ${why}. ${wanted.install}`, { cause })
    })
  }
}

async function unpackBy(
  { packageOf, leaveOut }: PackageWanted,
  place: AptPlace,
  tools: AptTools,
  workspace: string,
): Promise<Unpacked> {
  const name = await packageOf((question, about) =>
    ask(tools, tools.aptCache, [...question, ...aptOptions(place), about]),
  )
  const needed = await whatToDownload(tools, place, name)
  const downloads = needed.filter((each) => leaveOut?.test(each.package) !== true)
  const megabytes = downloads.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / 1e6
  console.log(`fetching ${name} for the tests, ${megabytes.toFixed(0)} MB`)
  const packages = join(workspace, `packages-${place.lists}`)
  const tree = join(workspace, `tree-${place.lists}`)
  await download(tools, place, downloads, packages)
  await unpackAll(tools, packages, tree)
  return { name, tree }
}

/** What it needs beyond the machine's own packages; where those contradict each other, all that it needs. */
async function whatToDownload(tools: AptTools, place: AptPlace, name: string): Promise<Download[]> {
  const args = ['install', '--reinstall', '--print-uris', '-y', '-qq', ...aptOptions(place)]
  const byNone = ['-o', 'Dir::State::status=/dev/null']
  const answer = await ask(tools, tools.aptGet, [...args, name]).catch(() =>
    ask(tools, tools.aptGet, [...args, ...byNone, name]),
  )
  // Of an engine's flavour this takes the tools' package alone, which nothing here depends on.
  const wanted = { package: name, flavor: 'redis', version: '', debianVersion: '' } as const
  const downloads = parseDownloads(answer, wanted)
  // An installed one is not fetched again if no list says from where.
  if (!downloads.some((each) => each.package === name)) throw new Error(`no package list has ${name}`)
  return downloads
}

async function ask(tools: AptTools, program: string, args: readonly string[]): Promise<string> {
  const env = { PATH: tools.path, LC_ALL: 'C', LANGUAGE: 'C' }
  const { stdout, stderr, failure } = await run(program, args, { timeoutMs: 60_000, env })
  if (failure !== null) throw new Error(`${program} ${failure}: ${stderr.trim()}`)
  return stdout
}

/** A home is closed to others; but what root fetches, an ordinary user runs. */
function letThrough(home: string): void {
  if (process.getuid?.() !== 0) return
  for (const folder of [home, enginesDir(home)]) chmodSync(folder, 0o711)
}
