/** A call on its way: who waits for it, until when, and what is known of its fate. */

import type { Expiring } from './deadlines.ts'
import type { Answer, Call, Link } from './engine.ts'
import type { EngineNode } from './node.ts'

export interface FlightEnd {
  /** Nobody waits any more. */
  expired(flight: Flight, lateMs: number): void
  /** Every command of the call has a reply; error replies are ReplyErrors. `link`: as it was when they were sent. */
  answered(flight: Flight, replies: readonly unknown[]): void
  /** The connection was lost, or the call never left. */
  failed(flight: Flight, error: Error, notSent: boolean): void
}

export class Flight implements Expiring {
  readonly call: Call
  readonly deadlineAt: number
  readonly slot: number
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
  readonly end: FlightEnd
  wheelSlot = -1
  wheelNext: Expiring | null = null
  wheelPrevious: Expiring | null = null
  done = false
  /** Whom it was sent to last, and in which role. */
  node: EngineNode | null = null
  role: 'primary' | 'replica' = 'primary'
  link: Link | null = null
  /** It was handed to a connection and has no reply yet. */
  sent = false
  sentAt = 0
  /** How much had been heard from the node when it was sent. */
  heardBefore = 0
  /** A write was sent, and nobody knows whether it was done. */
  uncertain = false
  tries = 0
  redirects = 0
  /** Scripts are sent in full: the node does not know them. */
  inFull = false
  /** Why it was not answered yet. */
  last: Error | undefined

  constructor(
    call: Call,
    slot: number,
    end: FlightEnd,
    resolve: (answer: Answer) => void,
    reject: (error: Error) => void,
  ) {
    this.call = call
    this.deadlineAt = call.deadlineAt
    this.slot = slot
    this.end = end
    this.resolve = resolve
    this.reject = reject
  }

  expire(lateMs: number): void {
    this.end.expired(this, lateMs)
  }
}
