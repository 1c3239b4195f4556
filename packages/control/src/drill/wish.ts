import type { ClientKind, DrillOperation, FaultName, FaultWish } from '@holdfast/core'
import type { Home } from '../store/home.ts'
import type { FindDesk } from './desk.ts'
import type { RunningWorkload } from './far-workload.ts'
import type { WorkloadPlan } from './workload.ts'

export interface DrillWish {
  readonly deployment: string
  readonly fault: FaultName
  /** Null: as long as the table says. */
  readonly forMs: number | null
  readonly node: string | null
  readonly clients: readonly ClientKind[]
  readonly onProduction: string | null
}

/** `drill`: the drill that it belongs to, so that the drill's own lock does not stand against it. */
export const faultWishOf = (wish: DrillWish, drill: string | null): FaultWish => ({
  fault: wish.fault,
  forMs: wish.forMs,
  node: wish.node,
  onProduction: wish.onProduction,
  drill,
})

export interface DrillPorts {
  readonly home: Pick<Home, 'agent'>
  readonly findDesk: FindDesk
  readonly startWorkload: (plan: WorkloadPlan, record: (operation: DrillOperation) => void) => RunningWorkload
  /** Tells how far it is. */
  readonly say: (line: string) => void
  /** Ends the drill before its time, for the reason that it gives: it heals, reads back and reports. */
  readonly signal: AbortSignal
}
