import type { JobSeen, NodeJob } from '@holdfast/core'
import type { MemoryNode, World } from './node.ts'
import { isServing } from './node.ts'

/* The long work of an agent that moves slots: some at each tick, for as long as its engine answers. */

type MoveJob = Extract<NodeJob, { kind: 'move' }>

interface Slots {
  /** Moves one slot, with the engine's own refusals. */
  readonly move: (slot: number, job: MoveJob) => void
}

const slotsATick = 8

export function beginMove(node: MemoryNode, job: MoveJob): void {
  const slots = job.slots.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index))
  if (node.moves.get(job.id)?.state !== 'running')
    node.moves.set(job.id, { job, slots, state: 'running', because: null })
}

export function tickMoves(world: World, node: MemoryNode, { move }: Slots): void {
  for (const one of node.moves.values()) {
    if (one.state !== 'running') continue
    if (node.process === null) {
      Object.assign(one, { state: 'failed', because: `${node.place.id} does not answer` })
      continue
    }
    if (!isServing(node, world.now())) continue
    try {
      for (const slot of one.slots.splice(0, slotsATick)) move(slot, one.job)
      if (one.slots.length === 0) Object.assign(one, { state: 'done', because: 'moved' })
    } catch (error) {
      Object.assign(one, { state: 'failed', because: error instanceof Error ? error.message : String(error) })
    }
  }
}

export const jobsSeen = ({ moves }: MemoryNode): JobSeen[] =>
  [...moves.values()].map(({ job: { id, kind, slots }, state, because }) => ({
    id,
    kind,
    slots,
    state,
    because,
    bytes: 0,
  }))
