/**
 * After a failover one host, or one zone, may have so many primaries that its loss would leave no majority to elect
 * anybody. They are moved apart by switchovers: one at a time, only while all is well, and only where it gets better, so
 * that nothing moves back and forth.
 */
import { isUnfinished } from '../operation.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { roomsOf, spreadOf } from '../placement/hosting.ts'
import { judgePlacement } from '../placement/judge.ts'
import type { Room, Seat } from '../placement/spread.ts'
import { zoneOf } from '../placement/spread.ts'
import { judgeReadiness } from '../readiness.ts'
import { formatDuration } from '../units.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, wait } from './step.ts'
import { heirsOf } from './switchover.ts'

/** A risk that is chosen waits until the last one is long over, and whatever led to it: a fault seldom comes alone. */
const calmMs = 30_000

export function planSpreadVotes({ picture, document, spec }: PlanInput): Step {
  if (spec.hosts.length < 3 || judgeReadiness(picture).ready !== 'yes') return idle
  if (document.operations.some(isUnfinished)) return idle
  const rooms = roomsOf(spec)
  const seats = seatsIn(picture)
  const trouble = judgePlacement(seats, rooms, spreadOf(spec)).find(({ kind }) => kind === 'votes')
  if (trouble === undefined) return idle
  const best = bestMove(
    picture.shards.filter(({ id }) => trouble.shards.includes(id)),
    seats,
    rooms,
  )
  if (best === undefined) return idle
  const { shard, heir } = best
  const told = `${trouble.because}; ${shard.id} moves from ${shard.primary?.id} to ${heir.id} on ${heir.place.host}`
  const restMs = calmMs - sinceAnyAsked(picture)
  if (restMs > 0) return wait(`${told} in ${formatDuration(restMs)}`)
  return act(told, [{ kind: 'failover', node: heir.id, mode: 'switchover' }])
}

/** How long ago anybody was last told to take over from anybody. */
const sinceAnyAsked = ({ at, nodes }: Picture): number =>
  at -
  Math.max(Number.NEGATIVE_INFINITY, ...nodes.map(({ agent }) => agent?.failoverAsked?.at ?? Number.NEGATIVE_INFINITY))

interface Move {
  readonly shard: ShardPicture
  readonly heir: NodePicture
}

/** The one after which the primaries are spread best; undefined where none makes it better. */
function bestMove(shards: readonly ShardPicture[], seats: readonly Seat[], rooms: readonly Room[]): Move | undefined {
  const moves = shards.flatMap((shard) => heirsOf(shard).map((heir): Move => ({ shard, heir })))
  const costOf = ({ shard, heir }: Move): number => crowding(withPrimary(seats, shard.id, heir.id), rooms)
  const cheapest = moves.reduce<Move | undefined>(
    (best, move) => (best === undefined || costOf(move) < costOf(best) ? move : best),
    undefined,
  )
  return cheapest === undefined || costOf(cheapest) >= crowding(seats, rooms) ? undefined : cheapest
}

/** Whoever has no slots has no vote. */
const seatsIn = ({ shards }: Picture): Seat[] =>
  shards.flatMap(({ id, nodes, primary, slotless }) =>
    nodes.map((node) => ({
      id: node.id,
      shard: id,
      host: node.place.host,
      isPrimary: node === primary && slotless !== true,
    })),
  )

const withPrimary = (seats: readonly Seat[], shard: string, id: string): Seat[] =>
  seats.map((one) => (one.shard === shard ? { ...one, isPrimary: one.id === id } : one))

/** The larger, the more primaries share a host or a zone. */
function crowding(seats: readonly Seat[], rooms: readonly Room[]): number {
  const zones = new Map(rooms.map((room) => [room.host, zoneOf(room)]))
  const counts = new Map<string, number>()
  for (const { host, isPrimary } of seats) {
    if (!isPrimary) continue
    for (const area of [`host ${host}`, `zone ${zones.get(host) ?? host}`])
      counts.set(area, (counts.get(area) ?? 0) + 1)
  }
  return [...counts.values()].reduce((sum, count) => sum + count ** 2, 0)
}
