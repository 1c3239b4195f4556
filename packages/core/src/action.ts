import type { Job } from './backup/job.ts'
import { describeJob, shelfId } from './backup/job.ts'
import type { CertificateWish } from './certificates.ts'
import type { Document, PlaceChange } from './document.ts'
import type { EventKind } from './event.ts'
import type { FailoverMode } from './observed.ts'
import type { Operation } from './operation.ts'
import type { Secrets } from './passwords.ts'
import type { SlotRange } from './slots.ts'
import { formatSlots } from './slots.ts'
import type { SpecText } from './spec.ts'

/** The text files of a node; rendered by pure functions, written by the agent, 0600. */
export interface NodeFiles {
  readonly config: string
  readonly users: string
  /** SHA-256 of the password by which it signs in to others, as `users` has it. Absent: not compared. */
  readonly signsInWith?: string
  /** The version of the engine that they are written for: another may not know each word. Absent: not compared. */
  readonly engineVersion?: string
  /** What it shows, and whom it believes. Absent: it does not speak TLS. */
  readonly tls?: TlsFiles
}

/** All PEM. */
export interface TlsFiles {
  readonly authority: string
  /** Certificate and private key in one file, so that nobody ever finds half of it. Absent: it shows nothing. */
  readonly identity?: { readonly file: string; readonly pem: string }
}

/** Where a node's engine listens. */
export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** One thing done to the world, by the agent beside the engine. Each checks nothing but its own effect. */
export type Action =
  /**
   * `loadRdb`: there is an RDB and no append-only file. Turning the append-only file on in the config would start the
   * node empty, so it starts without, and the file is turned on live. `loadAof`: the other way round, where the config
   * wants no append-only file and the data is still in one. `unclustered`: it has no bus port, and locks nothing itself,
   * so its directory is locked for it.
   */
  | {
      readonly kind: 'start'
      readonly node: string
      readonly files: NodeFiles
      readonly loadRdb?: boolean
      readonly loadAof?: boolean
      readonly unclustered?: boolean
      /** Directives that it is started with in place of those of its file, which keep whoever else starts it. */
      readonly instead?: Readonly<Record<string, string>>
      /** Outside a Cluster: it follows this one from its first moment on. */
      readonly follow?: Endpoint
    }
  | { readonly kind: 'stop'; readonly node: string; readonly save: boolean }
  /** SIGKILL to a frozen engine, or one that somebody else has started, and to exactly that process. */
  | {
      readonly kind: 'fence'
      readonly node: string
      readonly pid: number
      readonly startTime: number
      readonly stray?: true
    }
  /** An engine that is about to be succeeded takes no writes from now on, as if its host had fenced itself. */
  | { readonly kind: 'fence-writes'; readonly node: string; readonly reason: string }
  /** Lets an engine take writes again that its agent has fenced in this epoch; a command of the same epoch does not. */
  | { readonly kind: 'lift-fence'; readonly node: string; readonly epoch: number }
  | {
      readonly kind: 'failover'
      readonly node: string
      readonly mode: FailoverMode
      /** With Sentinels a switchover goes through one of them. */
      readonly through?: Passage
    }
  | {
      readonly kind: 'give-slots'
      readonly node: string
      readonly slots: readonly SlotRange[]
      readonly epoch: number | null
    }
  | { readonly kind: 'meet'; readonly node: string; readonly peers: readonly Endpoint[] }
  | { readonly kind: 'follow'; readonly node: string; readonly primary: string }
  | { readonly kind: 'forget'; readonly node: string; readonly engineIds: readonly string[] }
  | { readonly kind: 'close-slot'; readonly node: string; readonly slot: number }
  /** Ends a move that somebody left half done: the rest of the keys go to the target, then the slot. */
  | {
      readonly kind: 'finish-move'
      readonly node: string
      readonly slot: number
      readonly target: Endpoint
      readonly targetId: string
    }
  | {
      readonly kind: 'configure'
      readonly node: string
      readonly set: Readonly<Record<string, string>>
      readonly files: NodeFiles
    }
  /** A snapshot now, in the background. */
  | { readonly kind: 'save'; readonly node: string }
  /** Begins to log every write; the first log is written in the background. */
  | { readonly kind: 'begin-log'; readonly node: string }
  /** Ends the log of writes: its save points first, and its files last, so that there is no moment without either. */
  | { readonly kind: 'end-log'; readonly node: string; readonly save: string }
  /** Deletes data files that the running engine does not use, so that no later start reads them. */
  | { readonly kind: 'drop-files'; readonly node: string; readonly what: 'aof' | 'rdb' }
  /** Gives the running engine or Sentinel the users of its file, and nobody's session ends by it. */
  | { readonly kind: 'load-users'; readonly node: string; readonly files: NodeFiles }
  /** By which password it signs in to its primary from now on; a Sentinel also to the other Sentinels. */
  | {
      readonly kind: 'sign-in'
      readonly node: string
      /** What the Sentinels call the primary. */
      readonly name: string
      readonly password: string
    }
  /** A replica drops the link to its primary, and links anew at once. */
  | { readonly kind: 'renew-link'; readonly node: string }
  /** Ends sessions of these users that are older than so many seconds, the oldest first and a few at a time. */
  | {
      readonly kind: 'close-sessions'
      readonly node: string
      readonly users: readonly string[]
      readonly olderThanSeconds: number
      readonly countMax: number
      /** The rotation that wants it: what was left then is remembered under its id. */
      readonly rotation: string
    }
  | { readonly kind: 'purge'; readonly node: string }
  /** Outside a Cluster: it follows this one from now on. */
  | { readonly kind: 'replicate'; readonly node: string; readonly primary: Endpoint }
  /** Outside a Cluster: it follows nobody from now on. For the last copy that there is, where no Sentinel knows it. */
  | { readonly kind: 'promote'; readonly node: string }
  /** By which Sentinels choose whom to promote: 100 as all, or 0, never. */
  | { readonly kind: 'set-priority'; readonly node: string; readonly priority: number }
  /** One Sentinel, and no other, is asked to promote a replica of a dead primary. */
  | { readonly kind: 'ask-sentinel'; readonly node: string; readonly name: string }
  /** A Sentinel watches this primary from now on. */
  | {
      readonly kind: 'watch'
      readonly node: string
      readonly name: string
      readonly primary: Endpoint
      readonly settings: Readonly<Record<string, string>>
    }
  | {
      readonly kind: 'set-sentinel'
      readonly node: string
      readonly name: string
      readonly settings: Readonly<Record<string, string>>
    }
  | { readonly kind: 'unwatch'; readonly node: string; readonly name: string }
  /** A Sentinel forgets whom it knows, and learns anew who is there. */
  | { readonly kind: 'reset-sentinel'; readonly node: string; readonly name: string }
  /** A running proxy takes another file, and keeps the connections that it has. */
  | { readonly kind: 'reload'; readonly node: string; readonly files: NodeFiles }
  /** The proxy hears who the primary is, for the seconds until the Sentinels say it as well. */
  | { readonly kind: 'point'; readonly node: string; readonly to: string; readonly number: number }
  /** Begins long work, and does not wait for it. */
  | { readonly kind: 'work'; readonly node: string; readonly job: Job }
  /** Ends a job that nobody wants any more. */
  | { readonly kind: 'end-work'; readonly node: string; readonly job: string }
  /**
   * Puts a stopped node's data aside, and in its place the file that was fetched for it: `bytes`, or nothing where null.
   * `logs`: the node shall write an append-only file, and where the engine can, the file is the beginning of that.
   */
  | {
      readonly kind: 'place'
      readonly node: string
      readonly restore: string
      readonly bytes: number | null
      readonly logs: boolean
    }
  /** A piece of a file of a backup, for the node that shall start from it. The first one begins the file anew. */
  | {
      readonly kind: 'receive'
      readonly node: string
      readonly restore: string
      /** Where it belongs in the file, and how long that is, in bytes. */
      readonly at: number
      readonly of: number
      readonly piece: Uint8Array
    }
  /** Removes what backups and restores that are over have left beside the data. */
  | { readonly kind: 'clear-restore'; readonly node: string; readonly dropSnapshot: boolean }

/** The way of a switchover between engines that Sentinels watch. */
export interface Passage {
  /** What the Sentinels call the primary. */
  readonly name: string
  readonly from: Endpoint
  readonly to: Endpoint
  /** The Sentinel that would choose the wanted replica. */
  readonly sentinel: Endpoint
  /** The others that answer: clients ask any of them. */
  readonly others: readonly Endpoint[]
}

export type ActionKind = Action['kind']

/** How every action reaches an agent. The agent refuses an epoch below the highest it has seen, and a late one. */
export interface Envelope {
  readonly deployment: string
  readonly controllerEpoch: number
  /** By the agent's own clock, as it reported it: ms. */
  readonly notAfter: number
  readonly action: Action
}

/** An action in words, for the log and the events. Engine ids are shortened, nothing secret is said. */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'start':
      return `start ${action.node}`
    case 'stop':
      return `stop ${action.node}`
    case 'fence':
      return `kill the ${action.stray === true ? 'stray' : 'frozen'} engine of ${action.node} (pid ${action.pid})`
    case 'fence-writes':
      return `let ${action.node} take no more writes`
    case 'lift-fence':
      return `let ${action.node} take writes again`
    case 'failover':
      return `${action.mode === 'switchover' ? 'hand over to' : `promote (${action.mode})`} ${action.node}`
    case 'give-slots':
      return `give slots ${formatSlots(action.slots)} to ${action.node}`
    case 'meet':
      return `introduce ${action.node} to ${action.peers.map((peer) => peer.port).join(', ')}`
    case 'follow':
      return `let ${action.node} follow ${action.primary.slice(0, 8)}`
    case 'forget':
      return `let ${action.node} forget ${action.engineIds.map((id) => id.slice(0, 8)).join(', ')}`
    case 'close-slot':
      return `close slot ${action.slot} on ${action.node}`
    case 'finish-move':
      return `finish the move of slot ${action.slot} from ${action.node} to ${action.target.port}`
    case 'configure':
      return Object.keys(action.set).length === 0
        ? `write the file of ${action.node}`
        : `set ${Object.keys(action.set).join(', ')} on ${action.node}`
    case 'save':
      return `take a snapshot of ${action.node}`
    case 'begin-log':
      return `begin the append-only file of ${action.node}`
    case 'end-log':
      return `end the append-only file of ${action.node}`
    case 'drop-files':
      return `delete the ${action.what === 'aof' ? 'old append-only file' : 'old snapshot'} of ${action.node}`
    case 'load-users':
      return `load the users of ${action.node}`
    case 'sign-in':
      return `let ${action.node} sign in to others with the password as it is now`
    case 'renew-link':
      return `let ${action.node} link to its primary anew`
    case 'close-sessions':
      return `close old sessions of ${action.users.join(', ')} on ${action.node}`
    case 'purge':
      return `delete the data of ${action.node}`
    case 'work':
      return action.node === shelfId ? describeJob(action.job) : `${describeJob(action.job)} on ${action.node}`
    case 'end-work':
      return `end ${action.job} on ${action.node}`
    case 'place':
      return action.bytes === null
        ? `put the data of ${action.node} aside`
        : `put the data of ${action.node} aside, and the restored file in its place`
    case 'receive':
      return `bring a piece of the restored file to ${action.node}`
    case 'clear-restore':
      return `remove what backup or restore has left on ${action.node}`
    case 'replicate':
      return `let ${action.node} follow ${action.primary.address}:${action.primary.port}`
    case 'promote':
      return `promote ${action.node}`
    case 'set-priority':
      return action.priority === 0
        ? `keep the Sentinels from promoting ${action.node}`
        : `let the Sentinels promote ${action.node} again`
    case 'ask-sentinel':
      return `ask ${action.node} to fail ${action.name} over`
    case 'watch':
      return `let ${action.node} watch ${action.primary.address}:${action.primary.port} as ${action.name}`
    case 'set-sentinel':
      return `set ${Object.keys(action.settings).join(', ')} on ${action.node}`
    case 'unwatch':
      return `let ${action.node} stop watching ${action.name}`
    case 'reload':
      return `let ${action.node} read its file again`
    case 'point':
      return `point ${action.node} at ${action.to}`
    case 'reset-sentinel':
      return `let ${action.node} forget whom it knows, and learn anew`
    default:
      return action satisfies never
  }
}

/** Something that the plan found and a person should read, beside what it does. */
export interface PlanNote {
  readonly kind: Extract<EventKind, 'node' | 'drift' | 'loss'>
  readonly subject: string
  readonly because: string
}

/** What to do next, and why. The actions do not depend on each other: what must wait, waits for the next turn. */
export interface Plan {
  readonly actions: readonly Action[]
  readonly because: string
  readonly notes: readonly PlanNote[]
  /** When to look again at the latest, in ms from now. Null: the ordinary second. */
  readonly lookAgainMs: number | null
  /** Operations as they are from now on. They are saved first: what cannot be saved is not begun. */
  readonly operations?: readonly Operation[]
  /** Nodes that come, change or go. Saved together with the operations; nothing is done in the same turn. */
  readonly places?: readonly PlaceChange[]
  /** The passwords as they are from now on, saved together with the operations. */
  readonly secrets?: Secrets
  /** The spec's `engine` from now on, saved together with the operations. */
  readonly engine?: SpecText
  /** How many shards there shall be from now on, saved together with the operations. */
  readonly scale?: Document['scale']
  /** Certificates to be made, and saved. */
  readonly certify?: readonly CertificateWish[]
}
