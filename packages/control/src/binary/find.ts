/**
 * Which engine to run. The spec's own path wins and nothing replaces it; then what the PATH has, then what was fetched
 * or built before, and only then the network: the machine's package sources, what its distribution rebuilt for it, and
 * last, where a version was asked for that nobody offers, a build from source. A program counts when it was run and said what it is, so that a broken link, a
 * missing library or a foreign program of the same name is met here and not at the start of a node.
 */

import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Spec } from '@holdfast/core'
import { HoldfastError, usesTls } from '@holdfast/core'
import { findAptTools } from './apt.ts'
import { buildEngine, builtEngine, mayBuild } from './build.ts'
import { installCommand, systemNames } from './elsewhere.ts'
import type { EngineBinary, EngineWorld, WantedEngine } from './engine-binary.ts'
import { fetchEngine } from './fetch.ts'
import { directoriesOf, firstProgram, programsNamed } from './lookup.ts'
import { probeEngine, speaksTls } from './probe.ts'
import { cachedEngines } from './unpacked.ts'
import { userCache } from './user-cache.ts'
import { type EngineVersion, fitOf, nameOf, nameOfWanted, supportedVersions } from './version.ts'
import { enginesDir } from './workspace.ts'

export type { EngineBinary, EngineWorld } from './engine-binary.ts'

/** The engine to run, found or fetched. Throws ENGINE_MISSING, ENGINE_TOO_OLD, HOST_DISK_FULL or HOST_READ_ONLY. */
export async function findEngine(wanted: WantedEngine, world: EngineWorld): Promise<EngineBinary> {
  if (wanted.path !== null) return engineOfSpec(resolve(wanted.path), wanted, world)
  const onPath = await engineOnPath(wanted, world)
  if ('server' in onPath) return onPath
  return (await engineInCache(wanted, world)) ?? fetchedEngine(wanted, world, onPath)
}

/** The same for a whole spec: with TLS the engine must have been built with it. Throws ENGINE_WITHOUT_TLS besides. */
export async function findEngineFor(spec: Spec, world: EngineWorld): Promise<EngineBinary> {
  const engine = await findEngine(spec.engine, world)
  if (!usesTls(spec) || (await speaksTls(engine.server, engine.env))) return engine
  const remedy =
    engine.source === 'built' || engine.source === 'cache'
      ? `Run: sudo apt-get install libssl-dev; remove it from ${enginesDir(world.cache)} and ${enginesDir(world.home)}, and it is built again`
      : 'Install one that was, as distributions have it, or name it with engine.path in the spec'
  throw new HoldfastError(
    'ENGINE_WITHOUT_TLS',
    `${engine.server} (${nameOf(engine)}) was built without TLS, which ${spec.name} needs. ${remedy}.`,
    { path: engine.server },
  )
}

/** The world as this process was started into it. */
export function engineWorld(home: string, progress: (line: string) => void): EngineWorld {
  return { home, cache: userCache(process.env), path: process.env['PATH'] ?? '', progress }
}

/** Programs of the right name that cannot be taken, in words: said when nothing else is found either. */
interface PassedOver {
  readonly reasons: readonly string[]
  readonly tooOld: boolean
}

async function engineOfSpec(server: string, wanted: WantedEngine, world: EngineWorld): Promise<EngineBinary> {
  const looked = await look({ server, env: {}, source: 'spec' }, wanted, world)
  if (looked.kind === 'fits') return looked.engine
  const remedy = looked.kind === 'too-old' ? `Holdfast runs ${supportedVersions}` : 'Correct engine in the spec'
  throw new HoldfastError(
    looked.kind === 'too-old' ? 'ENGINE_TOO_OLD' : 'ENGINE_MISSING',
    `engine.path: ${looked.why}. ${remedy}, or leave engine.path out to have an engine found.`,
    { path: server },
  )
}

async function engineOnPath(wanted: WantedEngine, world: EngineWorld): Promise<EngineBinary | PassedOver> {
  const reasons: string[] = []
  let tooOld = false
  for (const name of ['valkey-server', 'redis-server']) {
    for (const server of await programsNamed(name, directoriesOf(world.path))) {
      const looked = await look({ server, env: {}, source: 'path' }, wanted, world)
      if (looked.kind === 'fits') return looked.engine
      reasons.push(looked.why)
      tooOld ||= looked.kind === 'too-old'
    }
  }
  return { reasons, tooOld }
}

/** One that no longer runs is as good as absent: fetching replaces it. */
async function engineInCache(wanted: WantedEngine, world: EngineWorld): Promise<EngineBinary | null> {
  for (const { server, env } of await cachedEngines(world.home)) {
    const looked = await look({ server, env, source: 'cache' }, wanted, world)
    if (looked.kind === 'fits') return looked.engine
  }
  return null
}

async function fetchedEngine(wanted: WantedEngine, world: EngineWorld, passedOver: PassedOver): Promise<EngineBinary> {
  const before = await builtEngine(wanted, world)
  if (before !== null) return taking({ ...before, source: 'cache' }, wanted, world)
  const tools = process.platform === 'linux' ? await findAptTools(directoriesOf(world.path)) : null
  if (tools === null) throw await nothingHere(wanted, passedOver)
  try {
    const fetched = await fetchEngine(tools, wanted, world)
    if (fetched.kind === 'fetched') return await taking({ ...fetched.engine, source: 'fetched' }, wanted, world)
    const { refusal, distribution } = fetched
    if (distribution === null || !mayBuild(wanted)) throw refusal
    const built = await buildEngine(tools, distribution, wanted, world).catch((cause: unknown) => {
      throw after(refusal, cause)
    })
    return await taking({ ...built, source: 'built' }, wanted, world)
  } catch (cause) {
    throw mentioning(passedOver, cause)
  }
}

async function taking(found: Found, wanted: WantedEngine, world: EngineWorld): Promise<EngineBinary> {
  const looked = await look(found, wanted, world)
  if (looked.kind === 'fits') return looked.engine
  throw new HoldfastError('ENGINE_MISSING', `what was ${found.source} cannot be used: ${looked.why}.`)
}

/** Why nothing was fetched is half of why nothing runs. */
function after(before: HoldfastError, cause: unknown): unknown {
  if (!(cause instanceof HoldfastError) || cause.code !== 'ENGINE_MISSING') return cause
  const offered = before.facts['offered']
  if (typeof offered !== 'string') return cause
  return new HoldfastError(cause.code, `${cause.message} ${offered}.`, { ...before.facts, ...cause.facts }, cause)
}

type Looked =
  | { readonly kind: 'fits'; readonly engine: EngineBinary }
  | { readonly kind: 'other' | 'too-old' | 'unusable'; readonly why: string }

type Found = Pick<EngineBinary, 'server' | 'env' | 'source'>

async function look(found: Found, wanted: WantedEngine, world: EngineWorld): Promise<Looked> {
  const probe = await probeEngine(found.server, found.env)
  if (probe.kind === 'unusable') return { kind: 'unusable', why: `${found.server} ${probe.why}` }
  const fit = fitOf(probe.engine, wanted)
  if (fit === 'fits') return { kind: 'fits', engine: await withCompanions(found, probe.engine, world) }
  const wish = fit === 'other' ? `not ${nameOfWanted(wanted)}` : 'which is too old'
  return { kind: fit, why: `${found.server} is ${nameOf(probe.engine)}, ${wish}` }
}

/** The client and the benchmark that came with the server, else any on the PATH: they speak the same protocol. */
async function withCompanions(found: Found, engine: EngineVersion, world: EngineWorld): Promise<EngineBinary> {
  const other = engine.flavor === 'valkey' ? 'redis' : 'valkey'
  const directories = [dirname(found.server), ...directoriesOf(world.path)]
  const companion = (tool: string): Promise<string | null> =>
    firstProgram([`${engine.flavor}-${tool}`, `${other}-${tool}`], directories)
  const [cli, benchmark] = await Promise.all([companion('cli'), companion('benchmark')])
  return { ...engine, ...found, cli, benchmark }
}

async function nothingHere(wanted: WantedEngine, passedOver: PassedOver): Promise<HoldfastError> {
  const osRelease = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const command = installCommand(systemNames(process.platform, osRelease), wanted)
  const sentence = `found no ${nameOfWanted(wanted)} on the PATH, and without apt-get Holdfast cannot fetch one`
  const remedy = command === null ? 'Install Valkey or Redis' : `Run: ${command}`
  const missing = new HoldfastError(
    passedOver.tooOld ? 'ENGINE_TOO_OLD' : 'ENGINE_MISSING',
    `${sentence}. ${remedy} (${supportedVersions}), or name a server with engine.path in the spec.`,
    { command },
  )
  return mentioning(passedOver, missing)
}

/** An engine that somebody installed and we did not take is the first thing that they will ask about. */
function mentioning<T>(passedOver: PassedOver, refusal: T): T | HoldfastError {
  if (!(refusal instanceof HoldfastError) || passedOver.reasons.length === 0) return refusal
  const message = `${refusal.message} Passed over on the PATH: ${passedOver.reasons.join('; ')}.`
  return new HoldfastError(refusal.code, message, { ...refusal.facts, passedOver: passedOver.reasons }, refusal.cause)
}
