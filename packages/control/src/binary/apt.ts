import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import {
  type AptPlace,
  aptDirectories,
  aptOptions,
  type Candidate,
  type Download,
  downloadArgs,
  type Parcel,
  parseCandidates,
  parseDownloads,
  policyArgs,
  resolveArgs,
  unpackArgs,
  updateArgs,
  updateSettings,
} from './debian.ts'
import { originFormat } from './distribution.ts'
import { firstProgram } from './lookup.ts'
import { type Ran, run } from './run.ts'
import { aptComplaint, diskProblem } from './trouble.ts'

/** The package programs of this machine. */
export interface AptTools {
  readonly aptGet: string
  readonly aptCache: string
  readonly aptConfig: string
  readonly dpkgDeb: string
  /** apt starts programs of its own, by name. */
  readonly path: string
}

/** Null where the system's packages are not Debian's. */
export async function findAptTools(directories: readonly string[]): Promise<AptTools | null> {
  const names = ['apt-get', 'apt-cache', 'apt-config', 'dpkg-deb']
  const found = await Promise.all(names.map((name) => firstProgram([name], directories)))
  const [aptGet, aptCache, aptConfig, dpkgDeb] = found
  if (!aptGet || !aptCache || !aptConfig || !dpkgDeb) return null
  return { aptGet, aptCache, aptConfig, dpkgDeb, path: directories.join(':') }
}

export async function prepareApt(workDir: string): Promise<void> {
  for (const directory of aptDirectories(workDir)) await mkdir(directory, { recursive: true })
}

/** What the machine's lists say of where they come from, a line a list. Empty where they cannot be read. */
export async function askOrigins(tools: AptTools, place: AptPlace): Promise<string> {
  const args = ['indextargets', ...aptOptions(place), '--format', originFormat, 'Created-By: Packages']
  return (await runPackageTool(tools, tools.aptGet, args, place.workDir, 60_000)).stdout
}

/** The machine's own `sources.list`, word for word; empty where it has none. */
export async function machineSources(tools: AptTools, workDir: string): Promise<string> {
  const args = ['shell', 'file', 'Dir::Etc::sourcelist/f']
  const { stdout } = await runPackageTool(tools, tools.aptConfig, args, workDir, 60_000)
  const file = /^file='([^']*)'$/m.exec(stdout)?.[1]
  return file === undefined ? '' : readFile(file, 'utf8').catch(() => '')
}

/** Every version of the source package of that name. */
export async function askSources(tools: AptTools, place: AptPlace, name: string): Promise<string> {
  const args = ['showsrc', ...aptOptions(place), '--only-source', name]
  return (await runPackageTool(tools, tools.aptCache, args, place.workDir, 60_000)).stdout
}

/** Downloads a source package as it is; apt checks its hashes against the signed list. */
export async function downloadSource(
  tools: AptTools,
  place: AptPlace,
  selector: string,
  directory: string,
): Promise<void> {
  await mkdir(directory, { recursive: true })
  const args = ['source', '--download-only', '-q', ...aptOptions(place), selector]
  const ran = await runPackageTool(tools, tools.aptGet, args, directory, 600_000)
  throwDiskProblem(ran)
  if (ran.failure !== null) throw aptFailed('cannot download the source of an engine', ran)
}

/** No candidates also where apt cannot read its lists: then they are read again, and that says why. */
export async function askCandidates(tools: AptTools, place: AptPlace): Promise<Candidate[]> {
  const { stdout } = await runPackageTool(tools, tools.aptCache, policyArgs(place), place.workDir, 60_000)
  return parseCandidates(stdout)
}

/**
 * Reads the package lists into our own. Returns apt's complaint instead of throwing: one source out of many may be
 * gone while the engine's is there, and only the caller sees whether it has a candidate now.
 */
export async function readLists(tools: AptTools, place: AptPlace): Promise<string | null> {
  const settingsFile = join(place.workDir, 'update.conf')
  await writeFile(settingsFile, updateSettings)
  const ran = await runPackageTool(tools, tools.aptGet, updateArgs(place, settingsFile), place.workDir, 300_000)
  throwDiskProblem(ran)
  return ran.failure === null && ran.stderr.trim() === '' ? null : complaintOf(ran)
}

/** What to download, by the machine's own packages; or, where those contradict each other, by none. */
export async function askDownloads(tools: AptTools, place: AptPlace, wanted: Parcel): Promise<Download[]> {
  const ask = (status: 'system' | 'empty'): Promise<Ran> =>
    runPackageTool(tools, tools.aptGet, resolveArgs(place, wanted, status), place.workDir, 60_000)
  const usual = await ask('system')
  const ran = usual.failure === null ? usual : await ask('empty')
  throwDiskProblem(ran)
  if (ran.failure !== null) throw aptFailed(`cannot work out what ${wanted.package} needs`, usual)
  return parseDownloads(ran.stdout, wanted)
}

export async function download(
  tools: AptTools,
  place: AptPlace,
  downloads: readonly Download[],
  directory: string,
): Promise<void> {
  await mkdir(directory, { recursive: true })
  const ran = await runPackageTool(tools, tools.aptGet, downloadArgs(place, downloads), directory, 600_000)
  throwDiskProblem(ran)
  if (ran.failure !== null) throw aptFailed('cannot download an engine', ran)
}

export async function unpackAll(tools: AptTools, debDirectory: string, tree: string): Promise<void> {
  await mkdir(tree)
  const debFiles = (await readdir(debDirectory)).filter((name) => name.endsWith('.deb'))
  for (const name of debFiles) {
    const args = unpackArgs(join(debDirectory, name), tree)
    const ran = await runPackageTool(tools, tools.dpkgDeb, args, debDirectory, 120_000)
    throwDiskProblem(ran)
    if (ran.failure !== null) throw aptFailed(`cannot unpack ${name}`, ran)
  }
}

/** In the C locale: sentences are recognized by their words. */
function runPackageTool(
  tools: AptTools,
  program: string,
  args: string[],
  cwd: string,
  timeoutMs: number,
): Promise<Ran> {
  return run(program, args, { cwd, timeoutMs, env: { PATH: tools.path, LC_ALL: 'C', LANGUAGE: 'C' } })
}

/** Thrown as the program said it, like a failed write of our own: whoever knows the home makes a refusal of both. */
function throwDiskProblem(ran: Ran): void {
  if (ran.failure !== null && diskProblem(ran.stderr) !== null) throw new Error(ran.stderr.trim())
}

function aptFailed(what: string, ran: Ran): HoldfastError {
  return missingEngine(what, complaintOf(ran))
}

/** Both for what apt refused and for what it could not reach: the way out is the same. */
export function missingEngine(what: string, complaint: string): HoldfastError {
  return new HoldfastError(
    'ENGINE_MISSING',
    `${what}: ${complaint}. Check that this machine reaches its package sources, or name an engine with engine.path in the spec.`,
    { complaint },
    new Error(complaint),
  )
}

const complaintOf = (ran: Ran): string => aptComplaint(ran.stderr) ?? ran.failure ?? 'it gave no reason'
