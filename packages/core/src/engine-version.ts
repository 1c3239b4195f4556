/** Which engine runs, as it was found: Valkey counts its own versions, whatever it answers for compatibility. */
export interface EngineBuild {
  readonly flavor: 'redis' | 'valkey'
  /** `7.0.15` */
  readonly version: string
}

/** The first version of each flavor that has something. Null: that flavor has never had it. */
export interface Since {
  readonly redis: string | null
  readonly valkey: string | null
}

/** Negative if `a` is the older version, 0 if they are the same. Missing parts count as 0: 7.2 is 7.2.0. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map((part) => Number.parseInt(part, 10) || 0))
  for (let index = 0; index < 3; index++) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

export function engineHas(engine: EngineBuild, since: Since): boolean {
  const first = since[engine.flavor]
  return first !== null && compareVersions(engine.version, first) >= 0
}

/** What Holdfast runs and looks after. */
export const supportedSince: Since = { redis: '6.2', valkey: '7.2' }

/** Its append-only file is a folder of parts, the first of which may be a snapshot by itself. */
export const logsInParts = (engine: EngineBuild): boolean => engineHas(engine, { redis: '7.0', valkey: '7.2' })
