/**
 * What somebody asked for once: a switchover, a rolling restart. It is kept in the document until it is over, idempotent
 * by its id, and carried on by whichever controller holds the lease.
 *
 * An operation keeps what was decided when it began (who takes over, which processes are to go), never how far it came:
 * that is read from the engines each turn. So a controller that is killed in the middle leaves nothing behind that
 * could be wrong.
 */
import type { BackupFile } from './backup/manifest.ts'
import type { NodePlace } from './document.ts'
import type { EngineBuild } from './engine-version.ts'
import type { BalanceKind } from './rebalance/preview.ts'
import type { SlotRange } from './slots.ts'
import type { SpecText } from './spec.ts'
import { formatInstant } from './units.ts'

interface Asked {
  readonly id: string
  /** A shard, a node, or the deployment itself. */
  readonly subject: string
  readonly requestedBy: string
  /** Wall clock, ms since 1970, as all times here. */
  readonly requestedAt: number
  /** Not begun before then. Null: at once. */
  readonly notBefore: number | null
  /** What could not begin until then never begins. */
  readonly expiresAt: number
  readonly state: OperationState
  /** Where it stands, or how it ended. */
  readonly because: string
  /** When it began; null before. */
  readonly beganAt: number | null
  readonly endedAt: number | null
}

export type OperationState =
  | 'asked' // waits for its time, or for the deployment to be ready
  | 'running'
  | 'done'
  | 'failed' // it stopped before its end, and says why; nothing of it goes on
  | 'cancelled'

/** Another copy becomes the shard's primary, without losing a write. */
export interface Switchover extends Asked {
  readonly kind: 'switchover'
  /** Who shall become primary. Null until it begins: the best copy then. */
  readonly to: string | null
  /** Somebody chose the copy; else any will do where Sentinels choose. */
  readonly named: boolean
  /** Who was primary when it began. */
  readonly from: string | null
  /** How often the copy was told to take over. */
  readonly tries: number
}

/**
 * Every process of the subject is replaced by another one, one at a time, and none while it is primary. An upgrade is
 * the same with another program: the spec names it from the moment that it begins.
 */
export interface Restart extends Asked {
  readonly kind: 'restart' | 'upgrade'
  /** Why, in words: `asked`, or what of the spec needs it. */
  readonly reason: string
  /** With an upgrade: what every engine shall be. Null: whatever it is. */
  readonly engine: EngineBuild | null
  /** With an upgrade: what the deployment ran before. */
  readonly cameFrom: EngineBuild | null
  /** With an upgrade that was put off: the spec's `engine` from the moment that it begins. Absent: it is in the spec. */
  readonly specEngine?: SpecText | null
  /** The processes that are to go, by node, as they were when it began. Null before. */
  readonly processes: Readonly<Record<string, string>> | null
  /** Who is primary of which shard, as this operation knows: another change is a surprise, and it stops. */
  readonly primaries: Readonly<Record<string, string>>
  /** What it did last. */
  readonly step: RestartStep | null
  /** Where copies are that each shard has for as long as this lasts, beside its own. Absent: none. */
  readonly places?: readonly NodePlace[]
}

export interface RestartStep {
  readonly kind: 'stop' | 'hand-over'
  readonly node: string
  readonly at: number
  /** How often, where it was said several times. */
  readonly tries: number
}

/** The data of every shard as files in a directory. Its id is the name of the backup. */
export interface Backup extends Asked {
  readonly kind: 'backup'
  /** Where backups are; this one is a directory in it. Absolute. */
  readonly directory: string
  /** How many verified ones are kept there. Null: none is removed. */
  readonly keep: number | null
  /** The slots of each shard when it began, by its id. Null before. */
  readonly slots: Readonly<Record<string, readonly SlotRange[]>> | null
  /** The address of the controller on whose machine it is. Absent or null: there is one machine, or it is not done. */
  readonly at?: string | null
}

/** The data of a backup in place of the data that is there. */
export interface Restore extends Asked {
  readonly kind: 'restore'
  /** The directory of the backup. Absolute. */
  readonly from: string
  readonly files: readonly BackupFile[]
  /** Whether each file is loaded for trial before anything is touched. */
  readonly trial: boolean
  /** `replacing`: decided, and the data that was there is given up. There is no way back from it. */
  readonly stage: 'fetching' | 'replacing'
}

/** Another node in the place of one: it comes, gets the data, and then the old one goes for good. */
export interface Replace extends Asked {
  readonly kind: 'replace'
  /** Where the new one is: one place. */
  readonly places: readonly NodePlace[]
}

/** Another password for users of the engines, and the old one gone after a time in which both are valid. */
export interface Rotation extends Asked {
  readonly kind: 'rotate'
  readonly users: readonly string[]
  /** How long the old passwords stay valid after the new ones are used. */
  readonly graceMs: number
  /** Which sessions are closed in the end: those from before the change, or all from before the old password went. */
  readonly closes: 'older' | 'all'
  /** Since when the new passwords are used. Null before. */
  readonly changedAt: number | null
  /** When it last went on. */
  readonly steppedAt: number
}

/** Slots go to other shards, with their keys, until each shard has what was decided. */
export interface Rebalance extends Asked, MoveTerms {
  readonly kind: 'rebalance'
  /** The shares of the shards, one to another, where the slots are to be decided when it begins. */
  readonly weights: Readonly<Record<string, number>>
  /** What each shard shall have in the end, by its id. Null: not decided yet. */
  readonly wanted: Assignment | null
  /** How many slots had to move when it began. */
  readonly slotsToMove: number
}

/** All slots, by the shards that shall have them. */
export type Assignment = Readonly<Record<string, readonly SlotRange[]>>

/** How slots may be moved. */
export interface MoveTerms {
  /** `best`: atomically, where the engines can. */
  readonly mover: 'best' | 'classic'
  /** From one shard, in a second. Null: as fast as the clients bear. */
  readonly bytesPerSecond: number | null
  /** A slot with a bigger key than this stays where it is. */
  readonly keyBytesMax: number
}

/** A key of so much holds up its engine for about half a second while it moves. */
export const moveTermsDefault: MoveTerms = { mover: 'best', bytesPerSecond: null, keyBytesMax: 64 * 1024 * 1024 }

/** More shards, or fewer: those that come are filled, and those that go emptied, while all of them serve. */
export interface Scale extends Asked, MoveTerms {
  readonly kind: 'scale'
  /** How many there shall be. */
  readonly shards: number
  /** Where the nodes of those are that come. */
  readonly places: readonly NodePlace[]
  /** The ids of those that go. */
  readonly going: readonly string[]
  /** Somebody accepts that what does not fit into fewer shards is evicted. */
  readonly acceptEviction: boolean
  /** Which slots each shard shall have. Null until those that come are in sync. */
  readonly wanted: Assignment | null
  /** How many slots had to move when that was decided. */
  readonly slotsToMove: number
}

export type Operation = Switchover | Restart | Replace | Backup | Restore | Rotation | Rebalance | Scale
export type OperationKind = Operation['kind']
/** Those that need nothing but a subject. What takes files from a directory, or puts them there, is asked for elsewhere. */
export const operationKinds = [
  'switchover',
  'restart',
  'upgrade',
  'replace',
  'rotate',
  'rebalance',
  'scale',
] as const satisfies readonly OperationKind[]

/** What a caller may ask for. */
export interface OperationWish {
  readonly kind: (typeof operationKinds)[number]
  /** Chosen by the caller, so that asking twice asks once. */
  readonly id: string
  readonly subject: string
  /** With a switchover: to whom. */
  readonly to?: string | null
  /** With a restart or an upgrade: why. */
  readonly reason?: string
  /** With an upgrade: what every engine shall be. */
  readonly engine?: EngineBuild | null
  readonly cameFrom?: EngineBuild | null
  readonly specEngine?: SpecText | null
  readonly notBefore?: number | null
  /** With a restart or an upgrade: whether each shard gets one more copy first, for as long as it lasts. */
  readonly surge?: boolean
  /** Of the new nodes that it needs. Whoever asks does not say them; they are chosen where the free ports are known. */
  readonly places?: readonly NodePlace[]
  /** With a rotation: whose passwords, how long the old ones stay valid, and which sessions are closed in the end. */
  readonly users?: readonly string[]
  readonly graceMs?: number
  readonly closes?: Rotation['closes']
  /** With a rebalance: what shall be shared out. Absent: the slots. */
  readonly by?: BalanceKind
  /** With a rebalance: the shares of the shards; one that is not named has 1. */
  readonly weights?: Readonly<Record<string, number>>
  /** With a rebalance: what each shard shall have, where that is decided already. */
  readonly wanted?: Assignment | null
  /** With a rebalance: how slots may be moved. */
  readonly terms?: Partial<MoveTerms>
  /** With scaling: how many shards there shall be, and whether what does not fit any more may be evicted. */
  readonly shards?: number
  readonly acceptEviction?: boolean
  /** Which shards go. Whoever asks does not say it; those are chosen whose going costs least. */
  readonly going?: readonly string[]
}

/** How long the old password stays valid where nobody says otherwise. */
export const graceMsDefault = 600_000

/** Whether it may need nodes that are not there yet. */
export const needsNodes = ({ kind, surge = false }: OperationWish): boolean =>
  kind === 'replace' || kind === 'scale' || surge

/** How long an operation waits for the deployment to be ready before it is given up, once its time has come. */
export const waitsForMs = 3_600_000

/** How many that are over are kept. */
const keptMax = 20

export const isUnfinished = ({ state }: Operation): boolean => state === 'asked' || state === 'running'

/** The operation that a wish asks for, not begun. */
export function operationFor(wish: OperationWish, requestedBy: string, now: number): Operation {
  const asked = askedFor(wish, requestedBy, now)
  switch (wish.kind) {
    case 'switchover':
      return { ...asked, kind: 'switchover', to: wish.to ?? null, named: wish.to != null, from: null, tries: 0 }
    case 'restart':
    case 'upgrade':
      return {
        ...asked,
        kind: wish.kind,
        reason: wish.reason ?? 'asked',
        engine: wish.engine ?? null,
        cameFrom: wish.cameFrom ?? null,
        specEngine: wish.specEngine ?? null,
        processes: null,
        primaries: {},
        step: null,
        places: wish.places ?? [],
      }
    case 'replace':
      return { ...asked, kind: 'replace', places: wish.places ?? [] }
    case 'rotate':
      return {
        ...asked,
        kind: 'rotate',
        users: wish.users ?? [],
        graceMs: wish.graceMs ?? graceMsDefault,
        closes: wish.closes ?? 'older',
        changedAt: null,
        steppedAt: now,
      }
    case 'rebalance': {
      const { weights = {}, wanted = null, terms } = wish
      return { ...asked, kind: 'rebalance', weights, wanted, slotsToMove: 0, ...moveTermsDefault, ...terms }
    }
    case 'scale':
      return {
        ...asked,
        kind: 'scale',
        shards: wish.shards ?? 0,
        places: wish.places ?? [],
        going: wish.going ?? [],
        acceptEviction: wish.acceptEviction ?? false,
        wanted: null,
        slotsToMove: 0,
        ...moveTermsDefault,
        ...wish.terms,
      }
    default:
      return wish.kind satisfies never
  }
}

/** What a backup and a restore are asked for with. */
export interface BackupWish extends Pick<Backup, 'id' | 'subject' | 'directory' | 'keep'> {
  readonly kind: 'backup'
}
export interface RestoreWish extends Pick<Restore, 'id' | 'subject' | 'from' | 'files' | 'trial'> {
  readonly kind: 'restore'
}

export function transferFor(wish: BackupWish | RestoreWish, requestedBy: string, now: number): Backup | Restore {
  const asked = askedFor(wish, requestedBy, now)
  return wish.kind === 'backup'
    ? { ...asked, kind: 'backup', directory: wish.directory, keep: wish.keep, slots: null }
    : { ...asked, kind: 'restore', from: wish.from, files: wish.files, trial: wish.trial, stage: 'fetching' }
}

function askedFor(
  { id, subject, notBefore = null }: { id: string; subject: string; notBefore?: number | null },
  requestedBy: string,
  now: number,
): Asked {
  return {
    id,
    subject,
    requestedBy,
    requestedAt: now,
    notBefore,
    expiresAt: Math.max(now, notBefore ?? 0) + waitsForMs,
    state: 'asked',
    because: notBefore === null ? 'asked for' : `asked for, not before ${formatInstant(notBefore)}`,
    beganAt: null,
    endedAt: null,
  }
}

/** The list with these in place of those of the same id; the oldest of those that are over go. */
export function withOperations(all: readonly Operation[], changed: readonly Operation[]): readonly Operation[] {
  const byId = new Map([...all, ...changed].map((one) => [one.id, one]))
  const merged = [...byId.values()]
  const over = merged.filter((one) => !isUnfinished(one))
  const gone = new Set(over.slice(0, Math.max(0, over.length - keptMax)))
  return merged.filter((one) => !gone.has(one))
}

/** How an operation ended. */
export const ended = <T extends Operation>(
  operation: T,
  state: 'done' | 'failed' | 'cancelled',
  because: string,
  now: number,
): T => ({ ...operation, state, because, endedAt: now })
