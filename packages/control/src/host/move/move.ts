/**
 * Moves slots with their keys from the engine of this node to another primary. Interrupted anywhere, it leaves at most
 * one batch of slots half moved, which the next turn of the controller mends, and the rest where it was.
 */
import { setTimeout as rest } from 'node:timers/promises'
import type { Endpoint, EngineBuild } from '@holdfast/core'
import { engineHas, engineVersion, formatBytes, formatDuration, HoldfastError, parseInfo } from '@holdfast/core'
import type { Clock } from '../../clock.ts'
import type { JobResult } from '../backup/jobs.ts'
import type { Admin } from '../change-engine.ts'
import { canMoveAtomically, moveAtomically } from './atomic.ts'
import type { Between, Watch } from './classic.ts'
import { moveClassic } from './classic.ts'
import { Lines } from './lines.ts'
import type { Moved, MoveOrder } from './order.ts'

/** Each change of a slot waits for the replicas from then on, and several wait at once. */
const waitsForReplicas = { redis: null, valkey: '8.0' }
const linesWhereItWaits = 16

/** The engine that has the slots now, and as whom it is spoken to. */
export interface MoveFrom {
  readonly endpoint: Endpoint
  readonly admin: Admin
  readonly clock: Clock
}

/** Throws ENGINE_REFUSED, UNREACHABLE_ENGINE, and what `watch.guard` throws. */
export async function moveSlots(order: MoveOrder, from: MoveFrom, watch: Watch): Promise<JobResult> {
  const began = from.clock.now()
  const { moved, how } = await moveBest(order, from, watch)
  const took = formatDuration(from.clock.now() - began)
  const told = `moved ${moved.slots} slots with ${moved.keys} keys (${formatBytes(moved.bytes)}) in ${took}, ${how}`
  if (moved.left.length === 0) return { because: told }
  const stays = moved.left.map(
    ({ slot, key, bytes }) => `slot ${slot} stays where it is: its key ${key.slice(0, 80)} has ${formatBytes(bytes)}`,
  )
  return { because: [told, ...stays].join('; '), left: moved.left.map(({ slot }) => slot) }
}

async function moveBest(order: MoveOrder, from: MoveFrom, watch: Watch): Promise<{ moved: Moved; how: string }> {
  const [source, target] = [await readSelf(from.endpoint, from.admin), await readSelf(order.target, from.admin)]
  if (target.id !== order.targetId) {
    const said = `${order.target.address}:${order.target.port} is ${target.id}, and not ${order.targetId}`
    throw new HoldfastError('ENGINE_REFUSED', `another engine is where the target was: ${said}`, { ...order.target })
  }
  const mayBeAtomic = order.mover === 'best' && order.bytesPerSecond === null
  return inBetween(order, from, [source, target], async (between) => {
    if (!mayBeAtomic || ![source, target].every((one) => canMoveAtomically(one.build, one.ioThreads))) {
      return { moved: await moveClassic(order, between, watch), how: 'slot by slot' }
    }
    const { moved, unmoved } = await moveAtomically(order, between, watch)
    if (unmoved === null) return { moved, how: 'at once' }
    const more = await moveClassic({ ...order, slots: unmoved.slots }, between, watch)
    return {
      moved: sumOf(moved, more),
      how: `slot by slot, since the engines could not do it at once: ${unmoved.because}`,
    }
  })
}

interface Self {
  readonly id: string
  readonly build: EngineBuild
  readonly ioThreads: number
}

async function readSelf(endpoint: Endpoint, admin: Admin): Promise<Self> {
  const lines = new Lines(endpoint, admin, 1)
  try {
    const [id, server, threads] = await lines.ask([
      ['CLUSTER', 'MYID'],
      ['INFO', 'server'],
      ['CONFIG', 'GET', 'io-threads'],
    ])
    const info = parseInfo(String(server))
    const flavor = info.has('valkey_version') ? 'valkey' : 'redis'
    const ioThreads = Array.isArray(threads) ? Number(String(threads[1])) : 1
    return { id: String(id), build: { flavor, version: engineVersion(info) }, ioThreads }
  } finally {
    lines.close()
  }
}

async function inBetween<T>(
  order: MoveOrder,
  { endpoint, admin, clock }: MoveFrom,
  [source, target]: readonly [source: Self, target: Self],
  move: (between: Between) => Promise<T>,
): Promise<T> {
  const between: Between = {
    source: new Lines(endpoint, admin, linesFor(source)),
    sourceId: source.id,
    target: new Lines(order.target, admin, linesFor(target)),
    admin,
    now: () => clock.now(),
    rest: (ms) => rest(ms),
  }
  try {
    return await move(between)
  } finally {
    between.source.close()
    between.target.close()
  }
}

const linesFor = ({ build }: Self): number => (engineHas(build, waitsForReplicas) ? linesWhereItWaits : 1)

const sumOf = (one: Moved, other: Moved): Moved => ({
  slots: one.slots + other.slots,
  keys: one.keys + other.keys,
  bytes: one.bytes + other.bytes,
  left: [...one.left, ...other.left],
})
