import { existsSync } from 'node:fs'
import { mkdtemp, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatBytes, HoldfastError } from '@holdfast/core'
import {
  type AptTools,
  askCandidates,
  askDownloads,
  askOrigins,
  download,
  machineSources,
  missingEngine,
  prepareApt,
  readLists,
  unpackAll,
} from './apt.ts'
import { type AptPlace, type Candidate, chooseCandidate } from './debian.ts'
import { backportsOf, type Distribution, keyringOf, parseOrigins, sourceLine } from './distribution.ts'
import type { EngineWorld, WantedEngine } from './engine-binary.ts'
import { probeEngine } from './probe.ts'
import { diskRefusal, fetching, hasRoom, refusingDisk } from './trouble.ts'
import { openUnpacked, type UnpackedEngine, unpackedName } from './unpacked.ts'
import { fitOf, nameOf, nameOfWanted, supportedVersions } from './version.ts'
import { enginesDir, putInPlace, withWorkspace } from './workspace.ts'

/** An engine, or why there is none to be had as a package, and from which distribution. */
export type Fetched =
  | { readonly kind: 'fetched'; readonly engine: UnpackedEngine }
  | { readonly kind: 'nowhere'; readonly refusal: HoldfastError; readonly distribution: Distribution | null }

/** Downloads an engine and its libraries through apt and unpacks them below the home. The system stays as it is. */
export function fetchEngine(tools: AptTools, wanted: WantedEngine, world: EngineWorld): Promise<Fetched> {
  return refusingDisk(fetching(enginesDir(world.home)), () =>
    withWorkspace(world.home, (workspace) => fetchWithin({ workspace, tools, wanted, world })),
  )
}

interface Fetching {
  readonly workspace: string
  readonly tools: AptTools
  readonly wanted: WantedEngine
  readonly world: EngineWorld
}

/**
 * First by the package lists that the machine has. They may be missing, or so old that their files are gone from the
 * servers: whatever goes wrong with them, fresh lists of our own get a second try. What those do not offer, and was
 * asked for, may be among what the distribution rebuilt for this release.
 */
async function fetchWithin(errand: Fetching): Promise<Fetched> {
  const { workspace, world } = errand
  // On a disk that fills up under it, apt may wait for minutes before it gives up.
  const writing = fetching(enginesDir(world.home))
  if (!hasRoom(await statfs(workspace), writing)) throw diskRefusal('full', writing)
  const workDir = join(workspace, 'apt')
  await prepareApt(workDir)
  const tried = await trying(() => fetchBy({ workDir, lists: 'system' }, errand))
  if ('server' in tried) return { kind: 'fetched', engine: tried }
  const own: AptPlace = { workDir, lists: 'own' }
  const again = await trying(() => fetchByFreshLists(own, errand, tried))
  if ('server' in again) return { kind: 'fetched', engine: again }
  const distribution = parseOrigins(await askOrigins(errand.tools, own))
  const refusal = again
  if (distribution === null || !isParticular(errand.wanted)) return { kind: 'nowhere', refusal, distribution }
  const last = await trying(() => fetchFromBackports(own, errand, distribution))
  return 'server' in last ? { kind: 'fetched', engine: last } : { kind: 'nowhere', refusal: last, distribution }
}

/** Whoever takes any engine is not given one from beside the release. */
const isParticular = ({ flavor, version }: WantedEngine): boolean => flavor === 'valkey' || version !== null

async function trying(work: () => Promise<UnpackedEngine>): Promise<UnpackedEngine | HoldfastError> {
  try {
    return await work()
  } catch (cause) {
    if (isAboutPackages(cause)) return cause
    throw cause
  }
}

async function fetchByFreshLists(place: AptPlace, errand: Fetching, before: HoldfastError): Promise<UnpackedEngine> {
  errand.world.progress('reading package lists ...')
  const complaint = await readLists(errand.tools, place)
  const unread = complaint !== null && (await askCandidates(errand.tools, place)).length === 0
  if (!unread) return fetchBy(place, errand)
  // Offline, what the old lists said is the better reason, if they said anything.
  throw before.facts['candidates'] === 0 ? missingEngine('cannot read the package lists', complaint) : before
}

/** Beside the machine's own sources, since what was rebuilt stands on the libraries of the release. */
async function fetchFromBackports(
  { workDir, lists }: AptPlace,
  errand: Fetching,
  distribution: Distribution,
): Promise<UnpackedEngine> {
  const suite = backportsOf(distribution)
  const keyring = keyringOf(distribution)
  const file = join(workDir, 'sources.list')
  const machines = await machineSources(errand.tools, workDir)
  const line = sourceLine(distribution, 'deb', suite, existsSync(keyring) ? keyring : null)
  await writeFile(file, `${machines}\n${line}`)
  const place: AptPlace = { workDir, lists, sources: { file, withMachines: true } }
  errand.world.progress(`reading package lists of ${suite} ...`)
  await readLists(errand.tools, place)
  return fetchBy(place, errand, ` and ${suite}`)
}

async function fetchBy(
  place: AptPlace,
  { workspace, tools, wanted, world }: Fetching,
  beside = '',
): Promise<UnpackedEngine> {
  const candidates = await askCandidates(tools, place)
  const chosen = chooseCandidate(candidates, wanted)
  if (chosen === undefined) throw nothingToFetch(candidates, wanted, beside)
  const downloads = await askDownloads(tools, place, chosen)
  const sizeBytes = downloads.reduce((sum, { sizeBytes: size }) => sum + size, 0)
  world.progress(`fetching ${chosen.package} ${chosen.version}, ${formatBytes(sizeBytes)}`)
  // Each try has folders of its own: what an earlier one left is not this one's.
  const parts = await mkdtemp(join(workspace, 'parts-'))
  const debDirectory = join(parts, 'debs')
  const tree = join(parts, 'tree')
  await download(tools, place, downloads, debDirectory)
  await unpackAll(tools, debDirectory, tree)
  return install(tree, chosen, workspace, world)
}

/** Only an engine that was seen running gets its name. */
async function install(
  tree: string,
  chosen: Candidate,
  workspace: string,
  world: EngineWorld,
): Promise<UnpackedEngine> {
  const obstacle = await obstacleIn(tree, chosen)
  if (obstacle !== null) {
    const sentence = `${chosen.package} ${chosen.version} of this machine's package sources, unpacked below ${enginesDir(world.home)}, ${obstacle}`
    const remedy =
      'Set HOLDFAST_HOME to a disk where programs may run, or name another engine with engine.path in the spec.'
    throw new HoldfastError('ENGINE_MISSING', `${sentence}. ${remedy}`)
  }
  const place = join(enginesDir(world.home), unpackedName(chosen))
  await putInPlace(tree, place, workspace, async (other) => (await obstacleIn(other, chosen)) === null)
  return openUnpacked(place, chosen.flavor)
}

async function obstacleIn(tree: string, chosen: Candidate): Promise<string | null> {
  const { server, env } = await openUnpacked(tree, chosen.flavor)
  const probe = await probeEngine(server, env)
  return probe.kind === 'engine' ? null : probe.why
}

/** "Not there", "not what you asked for" and "too old" want three different things from the reader. */
function nothingToFetch(candidates: readonly Candidate[], wanted: WantedEngine, beside: string): HoldfastError {
  const offer = candidates.map(nameOf).join(' and ')
  const sources = `this machine's package sources${beside}`
  const offered = candidates.length === 0 ? undefined : `This machine's package sources${beside} offer ${offer}`
  const facts = { candidates: candidates.length, offered }
  if (candidates.length === 0) {
    const sentence = `${sources} have neither valkey-server nor redis-server`
    const remedy = 'Add a source that has one (on Ubuntu: universe), or name an engine with engine.path in the spec.'
    return new HoldfastError('ENGINE_MISSING', `${sentence}. ${remedy}`, facts)
  }
  if (candidates.some((candidate) => fitOf(candidate, wanted) === 'too-old')) {
    const sentence = `${sources} offer only ${offer}, and Holdfast runs ${supportedVersions}`
    const remedy = 'Install one, and put it on the PATH or name it with engine.path in the spec.'
    return new HoldfastError('ENGINE_TOO_OLD', `${sentence}. ${remedy}`, facts)
  }
  const sentence = `${sources} offer ${offer}, not ${nameOfWanted(wanted)}`
  const remedy = 'Change engine in the spec, or name a server with engine.path.'
  return new HoldfastError('ENGINE_MISSING', `${sentence}. ${remedy}`, facts)
}

const isAboutPackages = (cause: unknown): cause is HoldfastError =>
  cause instanceof HoldfastError && cause.code.startsWith('ENGINE_')
