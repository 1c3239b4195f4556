/** Which backups there are, which to keep, and when the next one is due. Values in, values out. */
import type { Manifest, TrialVerdict } from './manifest.ts'
import { bytesOf } from './manifest.ts'

/** One directory below the backups of a deployment, as it was found. */
export interface BackupFound {
  readonly id: string
  readonly path: string
  /** Null where it has none that can be read. */
  readonly manifest: Manifest | null
  readonly verdict: TrialVerdict | null
  /** What is wrong without even reading the files: no manifest, a file missing or of another size. */
  readonly damage: string | null
}

export interface BackupListed {
  readonly id: string
  readonly path: string
  readonly state: 'verified' | 'unverified' | 'broken'
  readonly because: string
  /** Wall clock, ms since 1970; null where its manifest does not say. */
  readonly finishedAt: number | null
  readonly bytes: number | null
  readonly keys: number | null
  readonly engine: string | null
}

/** What is known of a backup, in one word and why. */
export function listed({ id, path, manifest, verdict, damage }: BackupFound): BackupListed {
  const keys = manifest?.files.map((file) => file.keys) ?? [null]
  return {
    id,
    path,
    ...stateOf(verdict, damage),
    finishedAt: manifest?.finishedAt ?? null,
    bytes: manifest === null ? null : bytesOf(manifest),
    keys: keys.some((count) => count === null) ? null : keys.reduce((sum: number, count) => sum + (count ?? 0), 0),
    engine: manifest === null ? null : `${manifest.engine.flavor} ${manifest.engine.version}`,
  }
}

function stateOf(verdict: TrialVerdict | null, damage: string | null): Pick<BackupListed, 'state' | 'because'> {
  if (damage !== null) return { state: 'broken', because: damage }
  if (verdict === null) return { state: 'unverified', because: 'nobody has loaded it for trial yet' }
  return { state: verdict.verdict, because: verdict.because }
}

/** The newest first; those without a time last. */
export const newestFirst = (one: BackupListed, other: BackupListed): number =>
  (other.finishedAt ?? 0) - (one.finishedAt ?? 0) || (one.id < other.id ? 1 : -1)

/**
 * Which backups go. The newest `keep` that were verified stay, and so does everything newer than the last of them. What
 * could not be verified is kept as long as there are fewer verified ones than wished, because it may be all there is:
 * the last good one never goes, whatever came after it.
 */
export function outlived(all: readonly BackupListed[], keep: number): readonly BackupListed[] {
  const ordered = [...all].sort(newestFirst)
  const verified = ordered.filter(({ state }) => state === 'verified')
  const last = verified[Math.max(1, keep) - 1]
  if (last === undefined) return []
  return ordered.slice(ordered.indexOf(last) + 1)
}

export interface Due {
  readonly everyMs: number
  /** When the last backup was finished; null where there is none. */
  readonly lastAt: number | null
  /** When there first was something to back up; null: nobody knows, long ago. */
  readonly firstReadyAt: number | null
  /** When one was last tried, whatever came of it. */
  readonly triedAt: number | null
  readonly now: number
}

const retryMinMs = 60_000
const retryMaxMs = 3_600_000

/**
 * Whether it is time for another one. What failed is tried again after a tenth of the interval, an hour at most: a full
 * disk should not be filled a second time at once, nor a day be lost to it.
 */
export function isDue({ everyMs, lastAt, firstReadyAt, triedAt, now }: Due): boolean {
  const since = lastAt ?? firstReadyAt
  if (since !== null && now - since < everyMs) return false
  const retryMs = Math.min(Math.max(everyMs / 10, retryMinMs), retryMaxMs)
  return triedAt === null || now - triedAt >= Math.min(retryMs, everyMs)
}
