import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { formatBytes, HoldfastError } from '@holdfast/core'
import {
  type AptTools,
  askCandidates,
  askDownloads,
  download,
  missingEngine,
  prepareApt,
  readLists,
  unpackAll,
} from './apt.ts'
import { type AptPlace, type Candidate, chooseCandidate } from './debian.ts'
import type { EngineWorld, WantedEngine } from './engine-binary.ts'
import { probeEngine } from './probe.ts'
import { diskProblem, diskRefusal, hasRoom } from './trouble.ts'
import { openUnpacked, type UnpackedEngine, unpackedName } from './unpacked.ts'
import { fitOf, nameOf, nameOfWanted, supportedVersions } from './version.ts'
import { enginesDir, putInPlace, withWorkspace } from './workspace.ts'

/** Downloads an engine and its libraries through apt and unpacks them below the home. The system stays as it is. */
export async function fetchEngine(tools: AptTools, wanted: WantedEngine, world: EngineWorld): Promise<UnpackedEngine> {
  try {
    return await withWorkspace(world.home, (workspace) => fetchWithin(workspace, tools, wanted, world))
  } catch (cause) {
    if (cause instanceof HoldfastError || !(cause instanceof Error)) throw cause
    const problem = diskProblem(cause.message)
    throw problem === null ? cause : diskRefusal(problem, enginesDir(world.home), cause)
  }
}

/**
 * First by the package lists that the machine has. They may be missing, or so old that their files are gone from the
 * servers: whatever goes wrong with them, fresh lists of our own get a second try.
 */
async function fetchWithin(
  workspace: string,
  tools: AptTools,
  wanted: WantedEngine,
  world: EngineWorld,
): Promise<UnpackedEngine> {
  const fetching: Fetching = { workspace, tools, wanted, world }
  // On a disk that fills up under it, apt may wait for minutes before it gives up.
  if (!hasRoom(await statfs(workspace))) throw diskRefusal('full', enginesDir(world.home))
  const workDir = join(workspace, 'apt')
  await prepareApt(workDir)
  try {
    return await fetchBy({ workDir, lists: 'system' }, fetching)
  } catch (cause) {
    if (!isAboutPackages(cause)) throw cause
    return fetchByFreshLists({ workDir, lists: 'own' }, fetching, cause)
  }
}

interface Fetching {
  readonly workspace: string
  readonly tools: AptTools
  readonly wanted: WantedEngine
  readonly world: EngineWorld
}

async function fetchByFreshLists(place: AptPlace, fetching: Fetching, before: HoldfastError): Promise<UnpackedEngine> {
  fetching.world.progress('reading package lists ...')
  const complaint = await readLists(fetching.tools, place)
  const unread = complaint !== null && (await askCandidates(fetching.tools, place)).length === 0
  if (!unread) return fetchBy(place, fetching)
  // Offline, what the old lists said is the better reason, if they said anything.
  throw before.facts['candidates'] === 0 ? missingEngine('cannot read the package lists', complaint) : before
}

async function fetchBy(place: AptPlace, { workspace, tools, wanted, world }: Fetching): Promise<UnpackedEngine> {
  const candidates = await askCandidates(tools, place)
  const chosen = chooseCandidate(candidates, wanted)
  if (chosen === undefined) throw nothingToFetch(candidates, wanted)
  const downloads = await askDownloads(tools, place, chosen)
  const sizeBytes = downloads.reduce((sum, { sizeBytes: size }) => sum + size, 0)
  world.progress(`fetching ${chosen.package} ${chosen.version}, ${formatBytes(sizeBytes)}`)
  const debDirectory = join(workspace, `debs-${place.lists}`)
  const tree = join(workspace, `tree-${place.lists}`)
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
function nothingToFetch(candidates: readonly Candidate[], wanted: WantedEngine): HoldfastError {
  const facts = { candidates: candidates.length }
  const offer = candidates.map(nameOf).join(' and ')
  if (candidates.length === 0) {
    const sentence = "this machine's package sources have neither valkey-server nor redis-server"
    const remedy = 'Add a source that has one (on Ubuntu: universe), or name an engine with engine.path in the spec.'
    return new HoldfastError('ENGINE_MISSING', `${sentence}. ${remedy}`, facts)
  }
  if (candidates.some((candidate) => fitOf(candidate, wanted) === 'too-old')) {
    const sentence = `this machine's package sources offer only ${offer}, and Holdfast runs ${supportedVersions}`
    const remedy = 'Install one, and put it on the PATH or name it with engine.path in the spec.'
    return new HoldfastError('ENGINE_TOO_OLD', `${sentence}. ${remedy}`, facts)
  }
  const sentence = `this machine's package sources offer ${offer}, not ${nameOfWanted(wanted)}`
  const remedy = 'Change engine in the spec, or name a server with engine.path.'
  return new HoldfastError('ENGINE_MISSING', `${sentence}. ${remedy}`, facts)
}

const isAboutPackages = (cause: unknown): cause is HoldfastError =>
  cause instanceof HoldfastError && cause.code.startsWith('ENGINE_')
