/**
 * Which PostgreSQL the tests run: an installed one, else one that was unpacked before, else one that apt downloads now.
 * It finds the rest of its files relative to its programs.
 */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemNames } from '../../packages/control/src/binary/elsewhere.ts'
import { directoriesOf } from '../../packages/control/src/binary/lookup.ts'
import { enginesDir } from '../../packages/control/src/binary/workspace.ts'
import { programsHome } from './engines.ts'
import type { PackageWanted, Sources } from './fetch-package.ts'
import { fetchPackage, librariesIn, namesIn } from './fetch-package.ts'

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
  const { installed = installedFolders(), home = programsHome } = places
  for (const folder of installed) {
    const programs = { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres'), env: {} }
    if ((await obstacleTo(programs)) === undefined) return programs
  }
  const unpacked = namesIn(enginesDir(home)).filter((name) => /^postgresql-\d+$/.test(name))
  for (const name of unpacked.sort(laterFirst)) {
    const programs = programsIn(join(enginesDir(home), name))
    if ((await obstacleTo(programs)) === undefined) return programs
  }
  return programsIn(await fetchPackage(wanted(), home))
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

const wanted = (): PackageWanted => ({
  title: 'PostgreSQL',
  install: whatToInstall(),
  packageOf: serverPackage,
  leaveOut: /^lib(llvm|z3)|-dev$/,
  trim: leaveOutCompiler,
  obstacle: (tree) => obstacleTo(programsIn(tree)),
})

/** `postgresql` itself is empty and depends on the version that this system has. */
async function serverPackage(sources: Sources): Promise<string> {
  const [, server] = /Depends: (postgresql-\d+)$/m.exec(await sources(['depends', '--important'], 'postgresql')) ?? []
  if (server === undefined) throw new Error("this machine's package sources have no postgresql")
  return server
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
  return { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres'), env: librariesIn(tree) }
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
  return system === undefined ? 'Install PostgreSQL.' : `Run: ${installCommands[system]}`
}

const laterFirst = (a: string, b: string): number => b.localeCompare(a, 'en', { numeric: true })
