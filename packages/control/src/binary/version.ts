import type { WantedEngine } from './engine-binary.ts'

export type Flavor = 'valkey' | 'redis'

export interface EngineVersion {
  readonly flavor: Flavor
  readonly version: string
}

const oldestSupported: Readonly<Record<Flavor, string>> = { valkey: '7.2', redis: '6.2' }

/**
 * What a server answers to `--version`: `Redis server v=7.0.15 sha=...`, `Valkey server v=8.0.1 ...`. Valkey 7.2 says
 * `Server v=7.2.5`, without a name; Redis always gave its own. Null: this is no engine that we know.
 */
export function parseEngineVersion(reply: string): EngineVersion | null {
  const [, name, version] = /^(?:(redis|valkey) )?server (?:v=|version )(\d+(?:\.\d+)+)/im.exec(reply) ?? []
  if (version === undefined) return null
  return { flavor: name?.toLowerCase() === 'redis' ? 'redis' : 'valkey', version }
}

/** `5:7.0.15-1~deb12u10` is Debian's 7.0.15: without epoch, packaging revision and suffixes. */
export function upstreamVersion(debianVersion: string): string {
  return /^(?:\d+:)?(\d+(?:\.\d+)*)/.exec(debianVersion)?.[1] ?? debianVersion
}

/** Negative when `a` is older. `7.0` and `7.0.0` are equal. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)]
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** `7` takes 7.0.15 but not 70.1: a wanted version ends at the border of a component. */
export function matchesVersion(version: string, wanted: string | null): boolean {
  return wanted === null || version === wanted || version.startsWith(`${wanted}.`)
}

export type Fit = 'fits' | 'other' | 'too-old'

/** Whether this engine may run. What was not asked for is `other`, whatever its age. */
export function fitOf(engine: EngineVersion, wanted: WantedEngine): Fit {
  if (wanted.flavor !== 'auto' && wanted.flavor !== engine.flavor) return 'other'
  if (!matchesVersion(engine.version, wanted.version)) return 'other'
  return compareVersions(engine.version, oldestSupported[engine.flavor]) < 0 ? 'too-old' : 'fits'
}

/** `redis 7.0.15`. */
export const nameOf = (engine: EngineVersion): string => `${engine.flavor} ${engine.version}`

/** `valkey 8`, `Valkey or Redis 8`: how a sentence calls what was asked for. */
export function nameOfWanted(wanted: WantedEngine): string {
  const flavor = wanted.flavor === 'auto' ? 'Valkey or Redis' : wanted.flavor
  return wanted.version === null ? flavor : `${flavor} ${wanted.version}`
}

/** For a sentence that says what would do instead. */
export const supportedVersions = `Valkey ${oldestSupported.valkey} or later, Redis ${oldestSupported.redis} or later`
