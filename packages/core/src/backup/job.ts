/**
 * Long work of an agent. A turn waits for all its actions, so an action only begins such a job; how far it is, the next
 * looks tell. Begun twice, it is the same job; begun again after its process was killed, it goes on with what is whole on
 * the disk and does the rest anew.
 */
import type { SlotRange } from '../slots.ts'
import type { BackupFile, ManifestHead } from './manifest.ts'

export type Job =
  /** The data of one shard, as a file in a backup that is not finished yet. */
  | {
      readonly kind: 'snapshot'
      readonly id: string
      readonly directory: string
      readonly backup: string
      readonly shard: string
      readonly slots: readonly SlotRange[]
      readonly role: 'primary' | 'replica'
      /** Whether the engine's own snapshot may stay where it is. Without persistence nothing may come back from it. */
      readonly mayKeep: boolean
    }
  /** Writes the manifest, and gives the directory its name. */
  | {
      readonly kind: 'seal'
      readonly id: string
      readonly directory: string
      readonly backup: string
      readonly head: ManifestHead
      readonly shards: readonly string[]
    }
  /** Loads every file into an engine that is nobody's. */
  | { readonly kind: 'verify'; readonly id: string; readonly directory: string; readonly backup: string }
  /** Removes what is left of interrupted backups, and those that are older than the ones to keep. */
  | { readonly kind: 'tidy'; readonly id: string; readonly directory: string; readonly keep: number }
  /** Removes what there is of a backup that will not be finished. */
  | { readonly kind: 'discard'; readonly id: string; readonly directory: string; readonly backup: string }
  /** Brings one file of a backup to the node that shall start from it, and compares its checksum on the way. */
  | {
      readonly kind: 'fetch'
      readonly id: string
      readonly restore: string
      readonly from: string
      readonly file: BackupFile
      /** Whether to load it for trial first: where nobody has, or another engine wrote it. */
      readonly trial: boolean
    }

export interface JobSeen {
  readonly id: string
  readonly kind: Job['kind']
  /** `interrupted`: its process is gone, and so is whoever would go on with it. */
  readonly state: 'running' | 'done' | 'failed' | 'interrupted'
  /** What has been written so far. */
  readonly bytes: number
  /** How it ended. */
  readonly because: string | null
}

export function describeJob(job: Job): string {
  switch (job.kind) {
    case 'snapshot':
      return `snapshot of ${job.shard} for backup ${job.backup}`
    case 'seal':
      return `write the manifest of backup ${job.backup}`
    case 'verify':
      return `load backup ${job.backup} for trial`
    case 'tidy':
      return `remove what is left over in ${job.directory}`
    case 'discard':
      return `remove the unfinished backup ${job.backup}`
    case 'fetch':
      return `fetch ${job.file.file} from ${job.from}`
    default:
      return job satisfies never
  }
}
