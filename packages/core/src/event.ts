import type { Action } from './action.ts'

/**
 * One line of the ordered log of a deployment. Additive only: readers ignore kinds they do not know.
 * `because` is the sentence for people; `cause` points at the event or operation that led here.
 */
export interface HoldfastEvent {
  readonly seq: number
  readonly epoch: number
  /** Wall clock, ms since 1970: for people, never for decisions. */
  readonly at: number
  readonly deployment: string
  readonly kind: EventKind
  /** A node, a shard, or the deployment itself. */
  readonly subject: string
  readonly because: string
  readonly cause: string | null
  readonly actor: string
  /** What was done, by its name, of kind `action` and `failed`: sentences are for people. Absent: nothing, or before this was written down. */
  readonly action?: Action['kind']
}

export const eventKinds = [
  'spec', // somebody changed what is wanted
  'controller', // a controller started, stopped, took or lost the lease
  'turn', // the loop's sentence changed
  'action', // something was done to the world
  'failed', // something was tried and did not work
  'node', // a node's life or role changed
  'shard', // a shard's primary changed
  'ready', // the deployment became ready, or stopped being it
  'drift', // a setting was changed by hand
  'loss', // data is, or may be, lost
  'drill', // a fault was injected on purpose, or healed
  'operation', // something that was asked for once began or ended
  'sentinel', // what a Sentinel told its listeners: a primary switched, somebody held for down
  'host', // something went wrong with a machine that engines run on, or is over
  'probe', // the probe could not write to a shard, or could again
] as const

export type EventKind = (typeof eventKinds)[number]

export type EventDraft = Omit<HoldfastEvent, 'seq'>
