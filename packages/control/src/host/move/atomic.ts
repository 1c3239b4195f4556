/**
 * The engines' own way to move slots, from Valkey 9 on: a snapshot of them and all that is written meanwhile go over one
 * link, and then they change owners in one moment. Where it fails, or anybody dies, all is as before.
 */
import type { EngineBuild, SlotRange } from '@holdfast/core'
import { compareVersions, countSlots, HoldfastError, infoNumber, keyCount, parseInfo, slotsIn } from '@holdfast/core'
import type { Between, Watch } from './classic.ts'
import type { Moved, MoveOrder } from './order.ts'

/** Before this version the engine gives up under many writes where it has more than one thread for its connections (valkey-io/valkey#4545). */
const soundSince = '9.1.2'
const since = '9.0'

const pollMs = 15
/** One snapshot has no more than about this, so that little is done again when it fails. */
const bytesAtOnce = 256 * 1024 * 1024
/** A smaller part is tried after each failure, and after so many another way. */
const failuresMax = 3

export function canMoveAtomically({ flavor, version }: EngineBuild, ioThreads: number): boolean {
  if (flavor !== 'valkey' || compareVersions(version, since) < 0) return false
  return ioThreads <= 1 || compareVersions(version, soundSince) >= 0
}

/** What is left of an order that the engines could not do in this way, and why. */
export interface Unmoved {
  readonly slots: readonly SlotRange[]
  readonly because: string
}

export async function moveAtomically(
  { slots, targetId }: Pick<MoveOrder, 'slots' | 'targetId'>,
  between: Between,
  watch: Watch,
): Promise<{ moved: Moved; unmoved: Unmoved | null }> {
  const bytesOfKey = await readBytesOfKey(between)
  let [rest, atOnce, failures] = [slots, await slotsAtOnce(between, slots, bytesOfKey), 0]
  let moved: Moved = { slots: 0, keys: 0, bytes: 0, left: [] }
  while (countSlots(rest) > 0) {
    watch.guard()
    await settled(between, watch)
    const [some, others] = splitSlots(rest, atOnce)
    const keys = await countKeys(between, some)
    const failure = await migrate(some, targetId, between, watch)
    if (failure === null) {
      rest = others
      const bytes = moved.bytes + Math.round(keys * bytesOfKey)
      moved = { ...moved, slots: moved.slots + countSlots(some), keys: moved.keys + keys, bytes }
      watch.progress(bytes)
      continue
    }
    failures++
    atOnce = Math.max(1, Math.floor(atOnce / 2))
    if (failures >= failuresMax) return { moved, unmoved: { slots: rest, because: failure } }
  }
  return { moved, unmoved: null }
}

/** Null: they are moved. Else what the engine said. */
async function migrate(
  slots: readonly SlotRange[],
  targetId: string,
  between: Between,
  watch: Watch,
): Promise<string | null> {
  const { source } = between
  const before = new Set((await migrationsOf(between)).map(({ name }) => name))
  const ranges = slots.flatMap(([from, to]) => [String(from), String(to)])
  await source.ask([['CLUSTER', 'MIGRATESLOTS', 'SLOTSRANGE', ...ranges, 'NODE', targetId]])
  for (;;) {
    const ours = (await migrationsOf(between)).find(({ name }) => !before.has(name))
    if (ours?.state === 'success') return null
    if (ours === undefined || isOver(ours)) return ours?.message ?? 'the engine does not know of it any more'
    await stopUnlessWanted(between, watch)
    await between.rest(pollMs)
  }
}

/** What somebody has begun before comes to its end first: nobody may have been there to hear of it. */
async function settled(between: Between, watch: Watch): Promise<void> {
  for (;;) {
    const running = (await migrationsOf(between)).filter((one) => !isOver(one))
    if (running.length === 0) return
    await stopUnlessWanted(between, watch)
    await between.rest(pollMs)
  }
}

async function stopUnlessWanted({ source }: Between, watch: Watch): Promise<void> {
  try {
    watch.guard()
  } catch (error) {
    await source.ask([['CLUSTER', 'CANCELSLOTMIGRATIONS', 'ALL']]).catch(() => {})
    throw error
  }
}

interface Migration {
  readonly name: string
  readonly state: string
  readonly message: string
}

const isOver = ({ state }: Migration): boolean => ['success', 'failed', 'canceled', 'cancelled'].includes(state)

/** Those that the source sends, as it remembers them. */
async function migrationsOf({ source }: Between): Promise<Migration[]> {
  const [answer] = await source.ask([['CLUSTER', 'GETSLOTMIGRATIONS']])
  if (!Array.isArray(answer)) throw new HoldfastError('ENGINE_REFUSED', 'CLUSTER GETSLOTMIGRATIONS answered no list')
  return answer.flatMap((words: readonly unknown[]): Migration[] => {
    const field = (name: string): string => String(words[words.findIndex((word) => String(word) === name) + 1])
    if (field('operation') !== 'EXPORT') return []
    return [{ name: field('name'), state: field('state'), message: field('message') }]
  })
}

/** The first `count` of these slots, and the rest. */
function splitSlots(ranges: readonly SlotRange[], count: number): [first: SlotRange[], rest: SlotRange[]] {
  const [first, rest]: [SlotRange[], SlotRange[]] = [[], []]
  let left = count
  for (const [from, to] of ranges) {
    const last = Math.min(to, from + left - 1)
    if (last >= from) first.push([from, last])
    if (last < to) rest.push([Math.max(from, last + 1), to])
    left -= Math.max(0, last - from + 1)
  }
  return [first, rest]
}

async function countKeys({ source }: Between, ranges: readonly SlotRange[]): Promise<number> {
  const counts = await source.ask(slotsIn(ranges).map((slot) => ['CLUSTER', 'COUNTKEYSINSLOT', String(slot)]))
  return counts.reduce((sum: number, count) => sum + Number(count), 0)
}

/** On the average of all that the source has. */
async function readBytesOfKey({ source }: Between): Promise<number> {
  const [answer] = await source.ask([['INFO']])
  const info = parseInfo(String(answer))
  const keys = keyCount(info)
  return keys === 0 ? 0 : infoNumber(info, 'used_memory_dataset') / keys
}

async function slotsAtOnce(between: Between, slots: readonly SlotRange[], bytesOfKey: number): Promise<number> {
  const bytesOfSlot = ((await countKeys(between, slots)) * bytesOfKey) / countSlots(slots)
  return bytesOfSlot === 0 ? countSlots(slots) : Math.max(1, Math.floor(bytesAtOnce / bytesOfSlot))
}
