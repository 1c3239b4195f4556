/**
 * An engine from its source, for versions that no package source of this machine offers. The source is the
 * distribution's own, downloaded by apt and checked against its signed lists; it brings along everything it is built
 * from, so a compiler and make are enough. What is built is kept in the user's cache and copied into a home from there:
 * clearing a cache costs the time of another build, and never a running deployment its engine.
 */

import { existsSync } from 'node:fs'
import { copyFile, cp, mkdir, readdir, statfs, symlink, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import { type AptTools, askSources, downloadSource, missingEngine, prepareApt, readLists } from './apt.ts'
import type { AptPlace } from './debian.ts'
import { type Distribution, keyringOf, newestOf, parseSources, sourceLine } from './distribution.ts'
import type { EngineWorld, WantedEngine } from './engine-binary.ts'
import { directoriesOf, firstProgram } from './lookup.ts'
import { probeEngine } from './probe.ts'
import { run } from './run.ts'
import { building, diskProblem, diskRefusal, fetching, hasRoom, refusingDisk } from './trouble.ts'
import { cachedEngines, openUnpacked, type UnpackedEngine, unpackedName } from './unpacked.ts'
import { compareVersions, type EngineVersion, fitOf, nameOf, nameOfWanted, upstreamVersion } from './version.ts'
import { enginesDir, putInPlace, withWorkspace } from './workspace.ts'

/** A machine of one slow core takes long, but not this long. */
const buildWithinMs = 30 * 60_000

/** Whether a build may give what is wanted. Only a version that was asked for is worth minutes of a processor. */
export function mayBuild(wanted: WantedEngine): boolean {
  return wanted.version !== null && wanted.flavor !== 'redis' && compareVersions(wanted.version, '8') >= 0
}

/** What was built before, copied into the home; null where that is nothing. */
export async function builtEngine(wanted: WantedEngine, world: EngineWorld): Promise<UnpackedEngine | null> {
  if (!mayBuild(wanted)) return null
  for (const { engine, server, env, tree } of await cachedEngines(world.cache)) {
    if (fitOf(engine, wanted) !== 'fits' || (await probeEngine(server, env)).kind !== 'engine') continue
    return refusingDisk(fetching(enginesDir(world.home)), () => copyHome(engine, tree, world))
  }
  return null
}

/** Builds the newest version that is wanted, and keeps it. Throws ENGINE_MISSING where it cannot. */
export async function buildEngine(
  tools: AptTools,
  distribution: Distribution,
  wanted: WantedEngine,
  world: EngineWorld,
): Promise<UnpackedEngine> {
  const programs = await builders(world, wanted)
  const writing = building(enginesDir(world.cache))
  await refusingDisk(writing, () =>
    withWorkspace(world.cache, async (workspace) => {
      if (!hasRoom(await statfs(workspace), writing)) throw diskRefusal('full', writing)
      const { engine, archive } = await source(tools, distribution, wanted, workspace, world)
      const tree = await compile(programs, engine, archive, workspace, world)
      const place = join(enginesDir(world.cache), unpackedName(engine))
      await putInPlace(tree, place, workspace, runs(engine))
    }),
  )
  const built = await builtEngine(wanted, world)
  if (built === null) throw new HoldfastError('ENGINE_MISSING', `${nameOfWanted(wanted)} was built, and is gone again`)
  return built
}

interface Builders {
  readonly make: string
  readonly tar: string
  readonly path: string
}

/** Looked for before anything is downloaded. The makefiles call the compiler `cc`. */
async function builders({ path }: EngineWorld, wanted: WantedEngine): Promise<Builders> {
  const directories = directoriesOf(path)
  const [make, compiler, tar] = await Promise.all(
    ['make', 'cc', 'tar'].map((name) => firstProgram([name], directories)),
  )
  if (make && compiler && tar && existsSync('/usr/include/stdio.h')) return { make, tar, path: directories.join(':') }
  throw new HoldfastError(
    'ENGINE_MISSING',
    `${nameOfWanted(wanted)} must be built from its source here, which takes a compiler. Run: sudo apt-get install gcc make libc6-dev`,
  )
}

interface Source {
  readonly engine: EngineVersion
  readonly archive: string
}

async function source(
  tools: AptTools,
  distribution: Distribution,
  wanted: WantedEngine,
  workspace: string,
  world: EngineWorld,
): Promise<Source> {
  const suite = newestOf(distribution)
  if (suite === null) {
    throw new HoldfastError(
      'ENGINE_MISSING',
      `${distribution.origin} ${distribution.codename} does not offer ${nameOfWanted(wanted)}. Install it yourself, and put it on the PATH or name it with engine.path in the spec.`,
    )
  }
  const workDir = join(workspace, 'apt')
  await prepareApt(workDir)
  const keyring = keyringOf(distribution)
  const file = join(workDir, 'sources.list')
  await writeFile(file, sourceLine(distribution, 'deb-src', suite, existsSync(keyring) ? keyring : null))
  const place: AptPlace = { workDir, lists: 'own', sources: { file, withMachines: false } }
  world.progress(`reading what ${distribution.origin} ${suite} has as source ...`)
  const complaint = await readLists(tools, place)
  const offers = parseSources(await askSources(tools, place, 'valkey'), upstreamVersion)
  if (offers.length === 0) throw missingEngine(`cannot read the sources of ${suite}`, complaint ?? 'no valkey in them')
  const engines = offers.map((offer) => ({ ...offer, flavor: 'valkey' as const }))
  const chosen = engines.find((engine) => fitOf(engine, wanted) === 'fits')
  if (chosen === undefined) {
    throw new HoldfastError(
      'ENGINE_MISSING',
      `${distribution.origin} ${suite} has the source of ${engines.map(nameOf).join(' and ')}, not of ${nameOfWanted(wanted)}. Change engine in the spec, or name a server with engine.path.`,
    )
  }
  const directory = join(workspace, 'source')
  await downloadSource(tools, place, `valkey=${chosen.debianVersion}`, directory)
  const archive = (await readdir(directory)).find((name) => /\.orig\.tar\.\w+$/.test(name))
  if (archive === undefined) throw missingEngine(`the source of ${nameOf(chosen)} is not there`, 'no archive in it')
  return { engine: { flavor: chosen.flavor, version: chosen.version }, archive: join(directory, archive) }
}

/** With the C library's memory allocator and without optimizing across files: each would double the time. */
async function compile(
  { make, tar, path }: Builders,
  engine: EngineVersion,
  archive: string,
  workspace: string,
  world: EngineWorld,
): Promise<string> {
  const directory = join(workspace, 'build')
  const tree = join(workspace, 'tree')
  const env = { PATH: path, LC_ALL: 'C', LANGUAGE: 'C' }
  await mkdir(directory)
  const unpacked = await run(tar, ['-xf', archive, '-C', directory, '--strip-components=1'], {
    env,
    timeoutMs: 120_000,
  })
  if (unpacked.failure !== null) throw buildFailed(engine, 'unpacking', unpacked)
  const jobs = availableParallelism()
  world.progress(`building ${nameOf(engine)} from its source: once, about ${Math.ceil(160 / jobs)} s on ${jobs} cores`)
  const options = { cwd: directory, env, timeoutMs: buildWithinMs }
  // Without the headers it still builds, and is refused where a deployment wants TLS.
  const tls = existsSync('/usr/include/openssl/ssl.h') ? ['BUILD_TLS=yes'] : []
  const made = await run(make, [`-j${jobs}`, 'MALLOC=libc', 'OPTIMIZATION=-O2', 'V=1', ...tls], options)
  if (made.failure !== null) throw buildFailed(engine, 'make', made)
  const bin = join(tree, 'usr', 'bin')
  await mkdir(bin, { recursive: true })
  for (const program of ['server', 'cli', 'benchmark'].map((name) => `${engine.flavor}-${name}`)) {
    await copyFile(join(directory, 'src', program), join(bin, program))
  }
  // The engine decides by its own name what it is.
  for (const name of ['sentinel', 'check-rdb', 'check-aof']) {
    await symlink(`${engine.flavor}-server`, join(bin, `${engine.flavor}-${name}`))
  }
  await copyFile(join(directory, 'COPYING'), join(tree, 'COPYING')).catch(() => undefined)
  if (await runs(engine)(tree)) return tree
  throw new HoldfastError(
    'ENGINE_MISSING',
    `${nameOf(engine)} was built and does not run below ${enginesDir(world.cache)}`,
  )
}

/** Copied in a workspace of the home, so that there is never half of it under its name. */
function copyHome(engine: EngineVersion, tree: string, world: EngineWorld): Promise<UnpackedEngine> {
  return withWorkspace(world.home, async (workspace) => {
    const copy = join(workspace, 'tree')
    await cp(tree, copy, { recursive: true, verbatimSymlinks: true })
    const place = join(enginesDir(world.home), unpackedName(engine))
    await putInPlace(copy, place, workspace, runs(engine))
    return openUnpacked(place, engine.flavor)
  })
}

const runs =
  (engine: EngineVersion) =>
  async (tree: string): Promise<boolean> => {
    const { server, env } = await openUnpacked(tree, engine.flavor)
    return (await probeEngine(server, env)).kind === 'engine'
  }

function buildFailed(engine: EngineVersion, step: string, ran: { stderr: string; failure: string | null }): Error {
  if (diskProblem(ran.stderr) !== null) return new Error(ran.stderr.trim())
  const lines = ran.stderr.split('\n').map((line) => line.trim())
  const complaint = lines.find((line) => /\berror\b/i.test(line)) ?? lines.findLast((line) => line !== '')
  const why = complaint ?? ran.failure ?? 'it gave no reason'
  return new HoldfastError(
    'ENGINE_MISSING',
    `cannot build ${nameOf(engine)} from its source: ${step} ${ran.failure}: ${why}. Name a server with engine.path in the spec.`,
    { complaint: why },
    new Error(ran.stderr.slice(-4000)),
  )
}
