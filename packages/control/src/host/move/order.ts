import type { NodeJob } from '@holdfast/core'

/** What is to be moved, and where to. */
export type MoveOrder = Omit<Extract<NodeJob, { kind: 'move' }>, 'kind' | 'id'> & {
  /** Somebody has begun it, and an engine may have died since. Absent: it is begun now. */
  readonly mends?: true
}

/** What has been moved. */
export interface Moved {
  readonly slots: number
  readonly keys: number
  readonly bytes: number
  /** Slots that stay, each for its biggest key. */
  readonly left: readonly LeftSlot[]
}

export interface LeftSlot {
  readonly slot: number
  readonly key: string
  readonly bytes: number
}
