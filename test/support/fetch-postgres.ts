/**
 * Which PostgreSQL the tests run: an installed one, else one that was unpacked before, else one that apt downloads now.
 * It is fetched like an engine: nothing is installed, so it takes no root and leaves the system as it is, and it has its
 * name only after it was seen running. PostgreSQL finds the rest of its files relative to its programs.
 */
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { AptTools } from '../../packages/control/src/binary/apt.ts'
import { download, findAptTools, prepareApt, readLists, unpackAll } from '../../packages/control/src/binary/apt.ts'
import type { AptPlace, Download } from '../../packages/control/src/binary/debian.ts'
import { aptOptions, parseDownloads } from '../../packages/control/src/binary/debian.ts'
import { systemNames } from '../../packages/control/src/binary/elsewhere.ts'
import { directoriesOf } from '../../packages/control/src/binary/lookup.ts'
import { run } from '../../packages/control/src/binary/run.ts'
import { enginesDir, putInPlace, withWorkspace } from '../../packages/control/src/binary/workspace.ts'
import { enginesHome } from './engines.ts'

export interface PostgresPrograms {
  readonly initdb: string
  readonly postgres: string
  /** What both need in their environment. */
  readonly env: Readonly<Record<string, string>>
}

export interface User {
  readonly uid: number
  readonly gid: number
}

/** Where to look before something is fetched. */
export interface PostgresPlaces {
  /** The folders that may have an installed one. */
  readonly installed: readonly string[]
  /** The home below which a fetched one is kept. */
  readonly home: string
}

const path = process.env['PATH'] ?? ''

export async function findPostgres(places: Partial<PostgresPlaces> = {}): Promise<PostgresPrograms> {
  const { installed = installedFolders(), home = enginesHome } = places
  for (const folder of installed) {
    const programs = { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres'), env: {} }
    if ((await obstacleTo(programs)) === undefined) return programs
  }
  const unpacked = namesIn(enginesDir(home)).filter((name) => /^postgresql-\d+$/.test(name))
  for (const name of unpacked.sort(laterFirst)) {
    const programs = programsIn(join(enginesDir(home), name))
    if ((await obstacleTo(programs)) === undefined) return programs
  }
  const tools = process.platform === 'linux' ? await findAptTools(directoriesOf(path)) : null
  if (tools === null) throw new Error(whatToInstall())
  return fetchPostgres(tools, home)
}

/** PostgreSQL refuses to run as root: then it runs as its package's user, else as nobody. */
export function ordinaryUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody to run it as')
}

/** Debian keeps the server's programs beside the PATH, a folder for each version. */
function installedFolders(): string[] {
  const versions = '/usr/lib/postgresql'
  const packaged = namesIn(versions).sort(laterFirst)
  return [...directoriesOf(path), ...packaged.map((version) => join(versions, version, 'bin'))]
}

async function fetchPostgres(tools: AptTools, home: string): Promise<PostgresPrograms> {
  return withWorkspace(home, async (workspace) => {
    letThrough(home)
    const workDir = join(workspace, 'apt')
    await prepareApt(workDir)
    const { server, tree } = await unpackByAnyLists(tools, workspace, workDir)
    leaveOutCompiler(tree)
    // Nobody but us gets through the workspace, so whether it runs as its user is seen in its place.
    const place = join(enginesDir(home), server)
    await putInPlace(tree, place, workspace, async (other) => (await obstacleTo(programsIn(other))) === undefined)
    const programs = programsIn(place)
    const obstacle = await obstacleTo(programs)
    if (obstacle !== undefined) throw new Error(`${server}, unpacked to ${place}, does not run: ${obstacle}`)
    return programs
  })
}

interface Unpacked {
  readonly server: string
  readonly tree: string
}

/** By the package lists of this machine; where those are missing, or too old to be served still, by fresh ones. */
async function unpackByAnyLists(tools: AptTools, workspace: string, workDir: string): Promise<Unpacked> {
  try {
    return await unpackBy({ workDir, lists: 'system' }, tools, workspace)
  } catch {
    console.log('reading package lists for PostgreSQL ...')
    const complaint = await readLists(tools, { workDir, lists: 'own' })
    return await unpackBy({ workDir, lists: 'own' }, tools, workspace).catch((cause: unknown) => {
      const why = complaint ?? (cause instanceof Error ? cause.message : String(cause))
      throw new Error(`cannot fetch PostgreSQL for the tests: ${why}. Or run: ${installCommands['debian']}`, { cause })
    })
  }
}

async function unpackBy(place: AptPlace, tools: AptTools, workspace: string): Promise<Unpacked> {
  const server = await serverPackage(tools, place)
  const downloads = await whatToDownload(tools, place, server)
  const megabytes = downloads.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / 1e6
  console.log(`fetching ${server} for the tests, ${megabytes.toFixed(0)} MB`)
  const packages = join(workspace, `packages-${place.lists}`)
  const tree = join(workspace, `tree-${place.lists}`)
  await download(tools, place, downloads, packages)
  await unpackAll(tools, packages, tree)
  return { server, tree }
}

/** `postgresql` itself is empty and depends on the version that this system has. */
async function serverPackage(tools: AptTools, place: AptPlace): Promise<string> {
  const answer = await ask(tools, tools.aptCache, ['depends', '--important', ...aptOptions(place), 'postgresql'])
  const [, server] = /Depends: (postgresql-\d+)$/m.exec(answer) ?? []
  if (server === undefined) throw new Error("this machine's package sources have no postgresql")
  return server
}

/** What it needs beyond the machine's own packages; where those contradict each other, all that it needs. */
async function whatToDownload(tools: AptTools, place: AptPlace, server: string): Promise<Download[]> {
  const args = ['install', '--reinstall', '--print-uris', '-y', '-qq', ...aptOptions(place)]
  const byNone = ['-o', 'Dir::State::status=/dev/null']
  const answer = await ask(tools, tools.aptGet, [...args, server]).catch(() =>
    ask(tools, tools.aptGet, [...args, ...byNone, server]),
  )
  // Of an engine's flavour this takes the tools' package alone, which nothing here depends on.
  const wanted = { package: server, flavor: 'redis', version: '', debianVersion: '' } as const
  const downloads = parseDownloads(answer, wanted).filter((each) => !/^lib(llvm|z3)|-dev$/.test(each.package))
  // An installed one is not fetched again if no list says from where.
  if (!downloads.some((each) => each.package === server)) throw new Error(`no package list has ${server}`)
  return downloads
}

async function ask(tools: AptTools, program: string, args: readonly string[]): Promise<string> {
  const env = { PATH: tools.path, LC_ALL: 'C', LANGUAGE: 'C' }
  const { stdout, stderr, failure } = await run(program, args, { timeoutMs: 60_000, env })
  if (failure !== null) throw new Error(`${program} ${failure}: ${stderr.trim()}`)
  return stdout
}

/** It compiles long queries by LLVM, which is larger than itself; without the files it goes on without that. */
function leaveOutCompiler(tree: string): void {
  for (const folder of programFolders(tree)) {
    const library = join(folder, '..', 'lib')
    for (const name of ['llvmjit.so', 'bitcode']) rmSync(join(library, name), { recursive: true, force: true })
  }
}

function programsIn(tree: string): PostgresPrograms {
  const [folder = tree] = programFolders(tree)
  // Debian keeps libraries in a folder for the machine's architecture: `usr/lib/x86_64-linux-gnu`.
  const libraries = [join(tree, 'usr', 'lib'), join(tree, 'lib')].flatMap((root) =>
    namesIn(root)
      .filter((name) => name.includes('-linux-'))
      .map((name) => join(root, name)),
  )
  const env: Record<string, string> = libraries.length === 0 ? {} : { LD_LIBRARY_PATH: libraries.join(delimiter) }
  return { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres'), env }
}

const programFolders = (tree: string): string[] => {
  const versions = join(tree, 'usr', 'lib', 'postgresql')
  return namesIn(versions).map((version) => join(versions, version, 'bin'))
}

/** Why these do not run as the user that they would run as: only running them proves that their libraries are there. */
async function obstacleTo({ initdb, postgres, env }: PostgresPrograms): Promise<string | undefined> {
  const programs = [initdb, postgres]
  const missing = programs.find((program) => !existsSync(program))
  if (missing !== undefined) return `there is no ${missing}`
  const settings = { env: { ...process.env, ...env }, cwd: '/', timeout: 10_000, ...ordinaryUser() }
  try {
    for (const program of programs) await promisify(execFile)(program, ['--version'], settings)
    return undefined
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause
    const closed = 'code' in cause && cause.code === 'EACCES' && process.getuid?.() === 0
    return closed
      ? `${cause.message}; it runs as another user when root runs the tests, so set HOLDFAST_TEST_HOME to a folder that everybody may enter`
      : cause.message
  }
}

/** A home is closed to others; but what root fetches, an ordinary user runs. */
function letThrough(home: string): void {
  if (process.getuid?.() !== 0) return
  for (const folder of [home, enginesDir(home)]) chmodSync(folder, 0o711)
}

const installCommands: Readonly<Record<string, string>> = {
  debian: 'sudo apt-get install postgresql',
  ubuntu: 'sudo apt-get install postgresql',
  alpine: 'sudo apk add postgresql',
  arch: 'sudo pacman -S postgresql',
  fedora: 'sudo dnf install postgresql-server',
  rhel: 'sudo dnf install postgresql-server',
  suse: 'sudo zypper install postgresql-server',
}

function whatToInstall(): string {
  const osRelease = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  const system = systemNames(process.platform, osRelease).find((name) => Object.hasOwn(installCommands, name))
  const remedy = system === undefined ? 'Install PostgreSQL' : `Run: ${installCommands[system]}`
  return `the cache's tests need PostgreSQL: neither the PATH nor /usr/lib/postgresql/*/bin has initdb and postgres, and without apt-get it cannot be fetched. ${remedy}`
}

const laterFirst = (a: string, b: string): number => b.localeCompare(a, 'en', { numeric: true })

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
