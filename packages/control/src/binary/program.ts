/** A program beside the engines: what the machine has, else what the distribution has, unpacked below the home like an engine. */
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { formatBytes, HoldfastError } from '@holdfast/core'
import type { AptTools } from './apt.ts'
import { askDownloads, download, findAptTools, prepareApt, readLists, unpackAll } from './apt.ts'
import type { AptPlace } from './debian.ts'
import type { EngineWorld } from './engine-binary.ts'
import { directoriesOf, programsNamed } from './lookup.ts'
import { run } from './run.ts'
import { diskRefusal, fetching, hasRoom, refusingDisk } from './trouble.ts'
import { environmentOf } from './unpacked.ts'
import { compareVersions, upstreamVersion } from './version.ts'
import { enginesDir, putInPlace, withWorkspace } from './workspace.ts'

/** A program that was asked for its version just now. */
export interface Program {
  readonly program: string
  readonly version: string
  /** What it needs in its environment to find its libraries. */
  readonly env: Readonly<Record<string, string>>
}

/** What to look for, and how to tell that it is it. */
export interface ProgramKind {
  readonly name: string
  /** The distribution's package that has it, and where. */
  readonly package: string
  readonly directory: string
  readonly oldestVersion: string
  readonly versionArguments: readonly string[]
  /** Its first group is the version. */
  readonly versionPattern: RegExp
  readonly missing: (why: string, cause?: unknown) => HoldfastError
}

/** Where a system keeps it, and a person's PATH seldom leads. */
const systemDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** Throws what `missing` makes, HOST_DISK_FULL or HOST_READ_ONLY. */
export async function findProgram(kind: ProgramKind, world: EngineWorld): Promise<Program> {
  const directories = [...new Set([...directoriesOf(world.path), ...systemDirectories])]
  for (const program of await programsNamed(kind.name, directories)) {
    const found = await probe(kind, program, {})
    if (found !== null) return found
  }
  const kept = (await readdir(enginesDir(world.home)).catch(() => [])).filter((name) =>
    name.startsWith(`${kind.name}-`),
  )
  for (const name of kept.sort().reverse()) {
    const found = await openTree(kind, join(enginesDir(world.home), name))
    if (found !== null) return found
  }
  const tools = process.platform === 'linux' ? await findAptTools(directoriesOf(world.path)) : null
  if (tools === null) throw kind.missing('there is none on the PATH, and without apt-get none can be fetched')
  return refusingDisk(fetching(enginesDir(world.home)), () =>
    withWorkspace(world.home, (workspace) => fetchProgram(kind, tools, workspace, world)),
  )
}

/** First by the lists that the machine has; where those are missing or too old, by fresh ones. */
async function fetchProgram(
  kind: ProgramKind,
  tools: AptTools,
  workspace: string,
  world: EngineWorld,
): Promise<Program> {
  const writing = fetching(enginesDir(world.home))
  if (!hasRoom(await statfs(workspace), writing)) throw diskRefusal('full', writing)
  const workDir = join(workspace, 'apt')
  await prepareApt(workDir)
  try {
    return await fetchBy(kind, { workDir, lists: 'system' }, tools, workspace, world)
  } catch (cause) {
    if (!(cause instanceof HoldfastError)) throw cause
  }
  world.progress('reading package lists ...')
  const own: AptPlace = { workDir, lists: 'own' }
  await readLists(tools, own)
  return fetchBy(kind, own, tools, workspace, world).catch((cause: unknown) => {
    if (!(cause instanceof HoldfastError) || cause.code !== 'ENGINE_MISSING') throw cause
    const { complaint } = cause.facts
    throw kind.missing(`it cannot be fetched: ${typeof complaint === 'string' ? complaint : cause.message}`, cause)
  })
}

async function fetchBy(
  kind: ProgramKind,
  place: AptPlace,
  tools: AptTools,
  workspace: string,
  world: EngineWorld,
): Promise<Program> {
  const downloads = await askDownloads(tools, place, { package: kind.package, debianVersion: null })
  const sizeBytes = downloads.reduce((sum, { sizeBytes: size }) => sum + size, 0)
  const selector = downloads.find((one) => one.package === kind.package)?.selector ?? ''
  const version = upstreamVersion(selector.slice(selector.indexOf('=') + 1))
  world.progress(`fetching ${kind.name} ${version}, ${formatBytes(sizeBytes)}`)
  const parts = await mkdtemp(join(workspace, 'parts-'))
  const tree = join(parts, 'tree')
  await download(tools, place, downloads, join(parts, 'debs'))
  await unpackAll(tools, join(parts, 'debs'), tree)
  if ((await openTree(kind, tree)) === null)
    throw kind.missing(`${kind.name} ${version} of this machine's package sources does not run`)
  const kept = join(enginesDir(world.home), `${kind.name}-${version}`)
  await putInPlace(tree, kept, workspace, async (other) => (await openTree(kind, other)) !== null)
  const found = await openTree(kind, kept)
  if (found === null) throw kind.missing(`${kept} does not run`)
  return found
}

async function openTree(kind: ProgramKind, tree: string): Promise<Program | null> {
  const program = join(tree, kind.directory, kind.name)
  return existsSync(program) ? probe(kind, program, await environmentOf(tree)) : null
}

/** Null: it does not run, is something else, or is too old. */
async function probe(
  { versionArguments, versionPattern, oldestVersion }: ProgramKind,
  program: string,
  env: Readonly<Record<string, string>>,
): Promise<Program | null> {
  const { stdout, failure } = await run(program, versionArguments, { env, timeoutMs: 10_000 })
  const version = versionPattern.exec(stdout)?.[1]
  if (failure !== null || version === undefined || compareVersions(version, oldestVersion) < 0) return null
  return { program, version, env }
}
