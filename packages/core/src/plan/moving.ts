/**
 * Slots on their way to what was decided. Which are still to go is read from the engines each turn, and each move is a
 * long work of the agent beside the engine that has them: whoever dies meanwhile, the next turn mends what was left half
 * moved (`slots.ts`), and begins what is missing again.
 */
import type { Action } from '../action.ts'
import type { JobSeen, NodeJob } from '../backup/job.ts'
import type { Assignment, MoveTerms } from '../operation.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import type { SlotMove } from '../rebalance/moves.ts'
import { movesBetween, movesToBegin } from '../rebalance/moves.ts'
import type { SlotRange } from '../slots.ts'
import { countSlots, formatSlots, normalizeSlots, subtractSlots } from '../slots.ts'
import { formatDuration } from '../units.ts'
import { jobId } from './backup.ts'
import type { PlanInput, Step } from './step.ts'
import { act, wait } from './step.ts'

const pollMs = 100
/** So often one move is begun again after it failed. */
export const failuresMax = 5

/** What an operation that moves slots says of it. */
export interface Moving extends MoveTerms {
  readonly id: string
  readonly beganAt: number | null
  /** How many slots had to move when it began. */
  readonly slotsToMove: number
}

/** How a move cannot go on: it has failed too often. */
export interface Stuck {
  readonly because: string
}

/** The next step towards this assignment; null: all is there, but for slots that stay for a key that is too big. */
export function moveTowards(wanted: Assignment, operation: Moving, input: PlanInput): Step | Stuck | null {
  const { picture } = input
  const works = movesOf(operation.id, picture)
  const running = works.filter(({ seen }) => seen.state === 'running')
  const moves = movesBetween(ownedBy(picture), withoutStaying(wanted, staying(operation.id, picture), picture))
  if (moves.length === 0 && running.length === 0) return null
  const stuck = works.find(({ seen, attempt }) => seen.state === 'failed' && attempt >= failuresMax)
  if (stuck !== undefined) return { because: `${stuck.from.id}: ${stuck.seen.because ?? 'no reason given'}` }
  const told = progressOf(moves, operation, input)
  const troubled = picture.shards.find(({ primary }) => primary?.facts == null)
  if (troubled !== undefined) return wait(`${told}; waiting: ${troubled.id} has no living primary`, pollMs)
  const lanes = running.map(({ lane }) => lane)
  const next = movesToBegin(moves, lanes)
  const actions = next.flatMap((move): Action[] => moveAction(move, operation, works, picture))
  if (actions.length === 0) return wait(told, pollMs)
  const where = next.map(({ from, to, count }) => `${count} slots from ${from} to ${to}`).join(', ')
  return act(`${told}: moving ${where}`, actions)
}

/** Slots of this operation that stay where they are, each for a key that is too big to move. */
export function staying(operation: string, picture: Picture): SlotRange[] {
  return normalizeSlots(
    movesOf(operation, picture).flatMap(({ seen }) => (seen.left ?? []).map((slot): SlotRange => [slot, slot])),
  )
}

/** Ends every move under way; those that stopped are forgotten, and begun anew when they are wanted again. */
export function haltMoves({ nodes }: Picture): Action[] {
  return nodes.flatMap(({ id, agent }) =>
    (agent?.jobs ?? []).flatMap((job): Action[] =>
      job.kind === 'move' && job.state !== 'done' ? [{ kind: 'end-work', node: id, job: job.id }] : [],
    ),
  )
}

interface MoveSeen {
  readonly from: NodePicture
  readonly seen: JobSeen
  readonly lane: { readonly from: string; readonly to: string }
  readonly attempt: number
}

const laneId = (operation: string, { from, to }: { from: string; to: string }, attempt: number): string =>
  jobId(operation, `${from}>${to}#${attempt}`)

function movesOf(operation: string, { nodes }: Picture): MoveSeen[] {
  return nodes.flatMap((node) =>
    (node.agent?.jobs ?? []).flatMap((seen): MoveSeen[] => {
      const [of, lane = ''] = seen.id.split('/')
      const [, from = '', to = '', attempt = '1'] = /^(.*)>(.*)#(\d+)$/.exec(lane) ?? []
      return seen.kind === 'move' && of === operation
        ? [{ from: node, seen, lane: { from, to }, attempt: Number(attempt) }]
        : []
    }),
  )
}

const ownedBy = ({ shards }: Picture): Map<string, readonly SlotRange[]> =>
  new Map(shards.map(({ id, slots }) => [id, slots]))

/** The assignment with these slots left where they are. */
function withoutStaying(
  wanted: Assignment,
  stay: readonly SlotRange[],
  { shards }: Picture,
): Map<string, readonly SlotRange[]> {
  return new Map(
    shards.map(({ id, slots }) => {
      const own = subtractSlots(slots, subtractSlots(slots, stay))
      return [id, normalizeSlots([...subtractSlots(wanted[id] ?? [], stay), ...own])]
    }),
  )
}

function moveAction(move: SlotMove, operation: Moving, works: readonly MoveSeen[], picture: Picture): Action[] {
  const primaryOf = (id: string): NodePicture | null | undefined =>
    picture.shards.find((shard: ShardPicture) => shard.id === id)?.primary
  const [from, to] = [primaryOf(move.from), primaryOf(move.to)]
  if (from == null || to == null || to.engineId === null || from.agent === null) return []
  const { mover, bytesPerSecond, keyBytesMax } = operation
  const failed = works.filter(
    ({ from: node, lane, seen }) => node === from && lane.to === move.to && seen.state === 'failed',
  )
  const attempt = 1 + Math.max(0, ...failed.map((one) => one.attempt))
  const job: NodeJob = {
    kind: 'move',
    id: laneId(operation.id, move, attempt),
    slots: move.slots,
    target: { address: to.place.address, port: to.place.port },
    targetId: to.engineId,
    mover,
    bytesPerSecond,
    keyBytesMax,
  }
  return [{ kind: 'work', node: from.id, job }]
}

/** `1024 of 4096 slots moved, about 3s left` */
function progressOf(moves: readonly SlotMove[], { slotsToMove, beganAt }: Moving, { wallNow }: PlanInput): string {
  const left = moves.reduce((sum, { count }) => sum + count, 0)
  const all = Math.max(left, slotsToMove)
  const moved = all - left
  const told = `${moved} of ${all} slots moved`
  if (moved === 0 || beganAt === null) return told
  return `${told}, about ${formatDuration(Math.round(((wallNow - beganAt) * left) / moved))} left`
}

/** What the agents say of the moves of an operation that are done, where they still know; empty where none does. */
export function describeMoves(operation: string, picture: Picture): string {
  const done = movesOf(operation, picture).filter(({ seen }) => seen.state === 'done')
  return done.map(({ lane, seen }) => `; ${lane.from} to ${lane.to}: ${seen.because ?? 'done'}`).join('')
}

/** What stays where it is, in words; empty where nothing does. */
export const describeStaying = (stay: readonly SlotRange[]): string =>
  stay.length === 0
    ? ''
    : `; ${countSlots(stay)} ${countSlots(stay) === 1 ? 'slot stays' : 'slots stay'} (${formatSlots(stay)}): a key of theirs is too big to move`
