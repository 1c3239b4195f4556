/**
 * Long work of an agent. A turn waits for all its actions, so an action only begins such a job; how far it is, the next
 * looks tell. Begun twice, it is the same job; begun again after its process was killed, it goes on with what is whole on
 * the disk and does the rest anew.
 *
 * Some is done beside an engine, by the agent of its host; the rest on the *shelf*, the machine of the controller that
 * acts, where backups are. What is on another machine is brought here, or there, a piece at a time.
 */
import type { Endpoint } from '../action.ts'
import type { SlotRange } from '../slots.ts'
import { countSlots } from '../slots.ts'
import type { BackupFile, ManifestHead } from './manifest.ts'

/** Beside an engine. */
export type NodeJob =
  /** The data of one shard, as a file in a backup that is not finished yet. */
  | {
      readonly kind: 'snapshot'
      readonly id: string
      /** Null: beside the data of its node, from where the shelf collects it. */
      readonly directory: string | null
      readonly backup: string
      readonly shard: string
      readonly slots: readonly SlotRange[]
      readonly role: 'primary' | 'replica'
      /** Whether the engine's own snapshot may stay where it is. Without persistence nothing may come back from it. */
      readonly mayKeep: boolean
    }
  /** Brings one file of a backup to the node that shall start from it, and compares its checksum on the way. */
  | {
      readonly kind: 'fetch'
      readonly id: string
      readonly restore: string
      /** The directory of the backup. Null: the shelf has sent the file. */
      readonly from: string | null
      readonly file: BackupFile
      /** Whether to load it for trial first: where nobody has, or another engine wrote it. */
      readonly trial: boolean
    }
  /** Slots that this node's engine owns, with their keys, to another primary. */
  | {
      readonly kind: 'move'
      readonly id: string
      readonly slots: readonly SlotRange[]
      readonly target: Endpoint
      readonly targetId: string
      /** `best`: atomically, where both engines can. */
      readonly mover: 'best' | 'classic'
      /** No more than so many bytes in a second. Null: as fast as the clients of both engines bear. */
      readonly bytesPerSecond: number | null
      /** A slot with a bigger key than this stays where it is. */
      readonly keyBytesMax: number
    }
  | Discard

/** Where backups are. */
export type ShelfJob =
  /** Brings the file of one shard here from another host, and compares its checksum. */
  | {
      readonly kind: 'collect'
      readonly id: string
      readonly directory: string
      readonly backup: string
      readonly shard: string
      readonly host: string
      readonly node: string
    }
  /** Brings one file of a backup to another host. */
  | {
      readonly kind: 'send'
      readonly id: string
      readonly restore: string
      /** The directory of the backup. */
      readonly from: string
      readonly file: BackupFile
      readonly host: string
      readonly node: string
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
  | Discard

/** Removes what there is of a backup that will not be finished. */
interface Discard {
  readonly kind: 'discard'
  readonly id: string
  readonly directory: string
  readonly backup: string
}

export type Job = NodeJob | ShelfJob

/** What actions on the shelf name in place of a node. */
export const shelfId = 'shelf'

export interface JobSeen {
  readonly id: string
  readonly kind: Job['kind']
  /** `interrupted`: its process is gone, and so is whoever would go on with it; or the other machine does not answer. */
  readonly state: 'running' | 'done' | 'failed' | 'interrupted'
  /** What has been written so far. */
  readonly bytes: number
  /** How it ended. */
  readonly because: string | null
  /** With a move: the slots that it is about. Absent: another work. */
  readonly slots?: readonly SlotRange[]
  /** With a move that is done: slots that stay, since a key of theirs is too big. Absent: none. */
  readonly left?: readonly number[]
}

/** The shelf of the controller that looks. */
export interface ShelfSeen {
  /** The address of its machine; null where it is the only one. */
  readonly at: string | null
  readonly jobs: readonly JobSeen[]
}

export function describeJob(job: Job): string {
  switch (job.kind) {
    case 'snapshot':
      return `snapshot of ${job.shard} for backup ${job.backup}`
    case 'collect':
      return `collect ${job.shard} of backup ${job.backup} from ${job.host}`
    case 'send':
      return `send ${job.file.file} to ${job.host}`
    case 'seal':
      return `write the manifest of backup ${job.backup}`
    case 'verify':
      return `load backup ${job.backup} for trial`
    case 'tidy':
      return `remove what is left over in ${job.directory}`
    case 'discard':
      return `remove the unfinished backup ${job.backup}`
    case 'move':
      return `move ${countSlots(job.slots)} slots to ${job.target.address}:${job.target.port}`
    case 'fetch':
      return job.from === null ? `check ${job.file.file} as it arrived` : `fetch ${job.file.file} from ${job.from}`
    default:
      return job satisfies never
  }
}
