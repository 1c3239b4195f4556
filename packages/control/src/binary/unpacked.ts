import { readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { compareVersions, type EngineVersion, type Flavor } from './version.ts'
import { enginesDir } from './workspace.ts'

/** An engine unpacked from packages, but not installed: it lives in `tree` and does not know its libraries there. */
export interface UnpackedEngine {
  readonly server: string
  readonly env: Readonly<Record<string, string>>
}

export const unpackedName = (engine: EngineVersion): string => `${engine.flavor}-server-${engine.version}`

/** An engine that was kept, with what its name says of it. */
export interface KeptEngine extends UnpackedEngine {
  readonly engine: EngineVersion
  readonly tree: string
}

/** The engines below the home by their names, Valkey first, each the newest first. */
export async function cachedEngines(home: string): Promise<KeptEngine[]> {
  const names = await readdir(enginesDir(home)).catch(() => [])
  return Promise.all(
    inOrderOfChoice(names).map(async (engine) => {
      const tree = join(enginesDir(home), unpackedName(engine))
      return { engine, tree, ...(await openUnpacked(tree, engine.flavor)) }
    }),
  )
}

function inOrderOfChoice(names: readonly string[]): EngineVersion[] {
  return names
    .map(parseUnpackedName)
    .filter((engine) => engine !== null)
    .sort((a, b) => (a.flavor === b.flavor ? compareVersions(b.version, a.version) : a.flavor === 'valkey' ? -1 : 1))
}

export async function openUnpacked(tree: string, flavor: Flavor): Promise<UnpackedEngine> {
  return { server: join(tree, 'usr', 'bin', `${flavor}-server`), env: await environmentOf(tree) }
}

/** What a program of an unpacked tree needs to find its libraries. */
export async function environmentOf(tree: string): Promise<Readonly<Record<string, string>>> {
  const directories = await libraryDirectories(tree)
  return directories.length === 0 ? {} : { LD_LIBRARY_PATH: directories.join(delimiter) }
}

function parseUnpackedName(name: string): EngineVersion | null {
  const [, flavor, version] = /^(valkey|redis)-server-(\d+(?:\.\d+)*)$/.exec(name) ?? []
  return version === undefined ? null : { flavor: flavor === 'valkey' ? 'valkey' : 'redis', version }
}

/** Debian keeps libraries in a directory for the machine's architecture: `usr/lib/x86_64-linux-gnu`. */
async function libraryDirectories(tree: string): Promise<string[]> {
  const roots = [join(tree, 'usr', 'lib'), join(tree, 'lib')]
  const found: string[] = []
  for (const root of roots) {
    const entries = await readdir(root, { withFileTypes: true }).catch(() => [])
    const below = entries.filter((entry) => entry.isDirectory()).map((entry) => join(root, entry.name))
    for (const directory of [root, ...below]) if (await holdsLibraries(directory)) found.push(directory)
  }
  return found
}

const holdsLibraries = (directory: string): Promise<boolean> =>
  readdir(directory).then(
    (names) => names.some((name) => /\.so(\.|$)/.test(name)),
    () => false,
  )
