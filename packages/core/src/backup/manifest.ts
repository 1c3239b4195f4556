/**
 * What a backup says of itself. It is written last, so a directory without one is what is left of a backup that was
 * interrupted; and it holds the checksum of every file, so that a backup which was cut short or changed is noticed before
 * anything is restored from it.
 */
import { z } from 'zod'
import { HoldfastError } from '../error.ts'
import type { SlotRange } from '../slots.ts'
import type { SpecText } from '../spec.ts'

export const manifestName = 'manifest.json'
/** What became of loading it for trial; beside the manifest, because the manifest does not change any more. */
export const verdictName = 'verified.json'

export const manifestVersion = 1

const slot = z.int().min(0).max(16383)
const count = z.int().min(0)

const backupFile = z.strictObject({
  shard: z.string().regex(/^[a-z][a-z0-9-]*$/),
  /** A plain name in the directory of the manifest: a path could point anywhere. */
  file: z.string().regex(/^[a-z][a-z0-9-]*\.rdb$/),
  bytes: count,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  slots: z.array(z.tuple([slot, slot]).readonly()),
  rdb: z.strictObject({ format: z.enum(['REDIS', 'VALKEY']), version: count }),
  /** As the file's own head says; null where it does not. */
  keys: count.nullable(),
  ttls: count.nullable(),
  replid: z.string().nullable(),
  offset: z.number().nullable(),
  memoryBytes: z.number().nullable(),
  takenFrom: z.strictObject({
    node: z.string(),
    role: z.enum(['primary', 'replica']),
    engine: z.strictObject({ flavor: z.enum(['redis', 'valkey']), version: z.string() }),
    /** Wall clock, ms since 1970. */
    at: z.number(),
  }),
})

export const Manifest = z.strictObject({
  manifestVersion: z.literal(manifestVersion),
  id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$/),
  deployment: z.string(),
  topology: z.enum(['standalone', 'sentinel', 'cluster']),
  requestedBy: z.string(),
  /** Wall clock, ms since 1970. */
  startedAt: z.number(),
  finishedAt: z.number(),
  engine: z.strictObject({ flavor: z.enum(['redis', 'valkey']), version: z.string() }),
  /** What was wanted when it was taken, without anything secret: enough to make such a deployment again. */
  spec: z.record(z.string(), z.unknown()),
  files: z.array(backupFile).min(1),
})

export type Manifest = z.output<typeof Manifest>
export type BackupFile = Manifest['files'][number]

/** What is known when the last file of it is there. */
export type ManifestHead = Omit<Manifest, 'files' | 'engine' | 'finishedAt' | 'manifestVersion'>

/** The manifest in a text, or BACKUP_UNREADABLE with what is wrong with it. */
export function parseManifest(text: string, where: string): Manifest {
  const refuse = (why: string): HoldfastError =>
    new HoldfastError('BACKUP_UNREADABLE', `${where}: ${why}. Nothing was touched; choose another backup.`, { where })
  let input: unknown
  try {
    input = JSON.parse(text)
  } catch {
    throw refuse('its manifest is no JSON: it was cut short or changed')
  }
  const version =
    typeof input === 'object' && input !== null && 'manifestVersion' in input ? input.manifestVersion : null
  if (version !== manifestVersion) {
    throw refuse(
      typeof version === 'number' && version > manifestVersion
        ? `its manifest is of version ${version}, and this Holdfast knows ${manifestVersion}: use a newer one`
        : 'this is no manifest of Holdfast',
    )
  }
  const parsed = Manifest.safeParse(input)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw refuse(`its manifest is not as it should be (${issue?.path.join('.')}: ${issue?.message})`)
}

/** What is known of one file, in a text; undefined where it is not that. */
export function parseBackupFile(text: string): BackupFile | undefined {
  try {
    return backupFile.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** Fields of a spec that may hold passwords or addresses of people. */
const secretFields = ['notify', 'security'] as const

/** The spec as it goes into a manifest. */
export function withoutSecrets(spec: SpecText): SpecText {
  return Object.fromEntries(Object.entries(spec).filter(([field]) => !secretFields.some((secret) => secret === field)))
}

export const bytesOf = ({ files }: Pick<Manifest, 'files'>): number => files.reduce((sum, { bytes }) => sum + bytes, 0)

export const slotsOf = (file: BackupFile): readonly SlotRange[] => file.slots.map(([from, to]) => [from, to] as const)

/** How loading it for trial ended. */
export interface TrialVerdict {
  readonly verdict: 'verified' | 'broken' | 'unverified'
  /** Wall clock, ms since 1970. */
  readonly at: number
  readonly because: string
  readonly engine: { readonly flavor: string; readonly version: string }
  readonly seconds: number
}

const TrialVerdict = z.strictObject({
  verdict: z.enum(['verified', 'broken', 'unverified']),
  at: z.number(),
  because: z.string(),
  engine: z.strictObject({ flavor: z.string(), version: z.string() }),
  seconds: z.number(),
})

/** Undefined where there is none, or none that can be read: then it is as if nobody had looked. */
export function parseVerdict(text: string | undefined): TrialVerdict | undefined {
  try {
    return TrialVerdict.parse(JSON.parse(text ?? ''))
  } catch {
    return undefined
  }
}
