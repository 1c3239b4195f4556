import type {
  AutoscaleAnswer,
  BackupListed,
  EngineBuild,
  FaultPreview,
  FaultSeen,
  FaultWish,
  Ledger,
  Manifest,
  Operation,
  OperationPreview,
  OperationWish,
  Pause,
  RebalancePreview,
  RebalanceWish,
  RestorePreview,
  SpecChange,
  SpecText,
  Status,
  Topology,
  UserAccess,
  Wanted,
} from '@holdfast/core'
import type { HostPlatform } from '../hosts/desk.ts'
import type { History } from '../store/store.ts'

/** All that the API knows of the rest of the controller. It edits what is wanted and reads what was seen; nothing else. */
export interface Platform {
  names(): string[]
  /** Undefined for an unknown name, and for a deployment that nobody has looked at yet. */
  status(name: string): Status | undefined
  spec(name: string): { readonly spec: SpecText; readonly revision: number } | undefined
  /** Checks, saves and wakes the loop. `baseRevision` null takes whatever is there. Throws SPEC_*. */
  apply(spec: unknown, baseRevision: number | null, actor: string, terms?: ApplyTerms): Promise<Applied>
  /** What `apply` would do, in words. Changes nothing. Throws SPEC_*. */
  plan(spec: unknown, terms?: ApplyTerms): Promise<PlanPreview>
  setWanted(name: string, wanted: Wanted, options: WantedOptions, actor: string): Promise<void>
  /** What was measured of it, and what would be done about its size now. Changes nothing. Throws NOT_FOUND, REFUSED_UNSAFE, UNREACHABLE_ENGINE. */
  autoscale(name: string): Promise<AutoscaleAnswer>
  /** What an operation would do now, and what speaks against it. Changes nothing. Throws NOT_FOUND. */
  previewOperation(name: string, wish: OperationWish): OperationPreview
  /** Asks for an operation; one of the same id is asked for already. Throws REFUSED_UNSAFE with what speaks against it. */
  askOperation(name: string, wish: OperationWish, actor: string): Promise<Operation>
  /** The same for an operation that needs new nodes: free places are found for them. Throws REFUSED_UNSAFE, HOST_PORT_IN_USE. */
  askForNodes(name: string, wish: OperationWish, actor: string): Promise<Operation>
  /** How slots would be shared out anew; the engines are asked what is in them. Changes nothing. Throws USAGE, REFUSED_UNSAFE, UNREACHABLE_ENGINE. */
  previewRebalance(name: string, wish: RebalanceWish): Promise<RebalancePreview>
  /** What another engine would mean: which one was found for this wish, and what speaks against it. Changes nothing. */
  previewUpgrade(name: string, engine: SpecText): Promise<UpgradePreview>
  /** Writes the engine into the spec, where it is not put off, and asks for the rolling upgrade, both or neither. Throws REFUSED_UNSAFE, SPEC_*, ENGINE_*. */
  upgrade(name: string, wish: UpgradeWish, actor: string): Promise<Operation>
  /** Ends one that is open; what it has done stays done. One that is over stays as it ended. Throws NOT_FOUND. */
  cancelOperation(name: string, id: string, actor: string): Promise<Operation>
  /** From now on the controller looks and tells and does nothing, until somebody resumes or the time is over. */
  pause(name: string, pause: Pick<Pause, 'because' | 'until'>, actor: string): Promise<void>
  resume(name: string, actor: string): Promise<void>
  /** A drained node holds no primary, as far as another copy can. Throws NOT_FOUND. */
  setDrained(name: string, node: string, drained: boolean, actor: string): Promise<void>
  /**
   * A durable shard may take writes that no copy has, and why; null: never again, once two copies are in sync. Throws
   * NOT_FOUND, and REFUSED_UNSAFE where nothing is guarded.
   */
  setDegraded(name: string, shard: string, because: string | null, actor: string): Promise<void>
  /** Whether somebody else runs it: then it is watched, and all that acts is refused. */
  isAdopted(name: string): boolean
  /** Watches a deployment that somebody else runs, from now on. Throws USAGE, REFUSED_UNSAFE, UNREACHABLE_ENGINE, ENGINE_REFUSED. */
  adopt(wish: AdoptWish, actor: string): Promise<AdoptedNow>
  /** Watches it no more; nothing is touched there. Throws NOT_FOUND. */
  forget(name: string, actor: string): Promise<void>
  readonly backups: BackupPlatform
  readonly hosts: HostPlatform
  readonly events: History
  /** Calls back with each new status of any deployment; answers how to stop. */
  onStatus(listener: (status: Status) => void): () => void
  /** For applications: who has which slots, and what is about to change. */
  readonly topology: TopologySource
  /** The application's user, or another one of the spec. Throws NOT_FOUND for one whose password is not known. Only ever given to the command line's token, never to a browser. */
  credentials(name: string, user?: string): UserAccess | undefined
  /** What a fault would do now, and what stands against it. Does nothing. Throws NOT_FOUND. */
  previewFault(name: string, wish: FaultWish): Promise<FaultPreview>
  /** Injects a fault; answers once it is there. Throws REFUSED_DRILL with every precondition that is not met. */
  injectFault(name: string, wish: FaultWish, actor: string): Promise<FaultSeen>
  /** Heals it before its timer does; one that is healed already stays so. Throws NOT_FOUND. */
  healFault(name: string, id: string, actor: string): Promise<FaultSeen>
  /** The faults of a deployment that last, and the latest of those that are over; the newest first. */
  faults(name: string): Promise<readonly FaultSeen[]>
  /** Incidents and availability since a time, ms since 1970. Throws NOT_FOUND. */
  ledger(name: string, since: number): Ledger
}

export interface TopologySource {
  /** Undefined where nobody has looked yet. */
  latest(name: string): ToldTopology | undefined
  /** Calls back with each that differs from the one before; answers how to stop. */
  subscribe(name: string, listener: (told: ToldTopology) => void): () => void
}

export interface ToldTopology {
  /** The same for the same topology, whichever controller tells it. */
  readonly id: string
  readonly topology: Topology
  /** The topology as JSON, written once for all who hear it. */
  readonly text: string
}

export interface AdoptWish {
  /** Where it is: `redis://`, or a connection string of ours. */
  readonly url: string
  /** Default: as its Sentinels, or its first host, call it. */
  readonly name?: string
  /** Instead of those in the address. */
  readonly user?: string
  readonly password?: string
  /** It comes over the API and not from this machine: nothing inside is connected to for it. */
  readonly guarded: boolean
}

export interface AdoptedNow {
  readonly name: string
  readonly because: string
}

export interface UpgradeWish {
  /** Chosen by the caller, so that asking twice asks once. */
  readonly id: string
  /** The spec's `engine` from then on. */
  readonly engine: SpecText
  /** Each shard gets one more copy first, for as long as it lasts. */
  readonly surge?: boolean
  /** Ms since 1970: the spec names the engine when it begins, and not before. Null: at once. */
  readonly notBefore?: number | null
}

export interface UpgradePreview extends OperationPreview {
  /** What every engine would be. */
  readonly engine: EngineBuild
}

/** The backups of a deployment, and what is asked with them. */
export interface BackupPlatform {
  /** Those in the deployment's own directory, the newest first. Throws NOT_FOUND. */
  list(name: string): BackupsListed
  /** Asks for one. Throws HOST_* where it could not be written. */
  ask(name: string, wish: BackupAsked, actor: string): Promise<Operation>
  /** One that lies anywhere on this machine. Throws BACKUP_*. */
  read(from: string): { readonly manifest: Manifest; readonly state: BackupListed['state']; readonly because: string }
  /** What restoring it would do. Throws BACKUP_*. */
  previewRestore(name: string, from: string): Promise<RestorePreview>
  /** Asks for it. Throws BACKUP_*, and REFUSED_NOT_CONFIRMED where it would replace data and nobody said so. */
  restore(name: string, wish: RestoreAsked, actor: string): Promise<Operation>
}

export interface BackupsListed {
  /** The address of the machine that they are on; null where it is the only one. */
  readonly at: string | null
  readonly directory: string
  readonly backups: readonly BackupListed[]
  /** Those that other controllers have taken, as far as their operations are still remembered. */
  readonly elsewhere: readonly BackupElsewhere[]
}

export interface BackupElsewhere {
  readonly id: string
  readonly at: string
  readonly directory: string
  readonly finishedAt: number | null
}

export interface BackupAsked {
  /** Chosen by the caller, so that asking twice asks once; it becomes the name of the backup. */
  readonly id: string
  /** Another directory than the deployment's own: there, none is ever removed. */
  readonly to: string | null
}

export interface RestoreAsked {
  readonly id: string
  readonly from: string
  /** The name of the deployment once more, where it holds data. */
  readonly replace: string | null
}

/** What the person who edits accepts. */
export interface ApplyTerms {
  /** A cache may lose the keys that do not fit any more. */
  readonly acceptEviction: boolean
}

export interface Applied {
  readonly name: string
  readonly revision: number
  readonly changed: boolean
}

export interface PlanPreview {
  readonly name: string
  readonly isNew: boolean
  readonly changes: readonly string[]
  /** The same field by field, with how each comes about. Empty for a new deployment. */
  readonly edits: readonly SpecChange[]
  readonly because: string
  /** The engine's config of each node, with the secrets masked. */
  readonly files: Readonly<Record<string, string>>
}

export interface WantedOptions {
  /** With `down`: delete the data too. */
  readonly purge: boolean
  /** With `up`: a shard that lost every copy may start empty. */
  readonly acceptDataLoss: boolean
}
