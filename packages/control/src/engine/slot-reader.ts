/**
 * What is in each slot of one primary, asked in many small questions on a connection of its own: nobody else's question waits
 * for more than about a millisecond of the engine behind one of these.
 */
import type { EngineBuild, SlotRange } from '@holdfast/core'
import {
  engineHas,
  HoldfastError,
  infoNumber,
  keyCount,
  parseInfo,
  slotCountTotal,
  slotStatsSince,
} from '@holdfast/core'
import { EngineLink } from './link.ts'
import type { Credentials } from './reader.ts'

/** Slots whose statistics come in one answer, and slots that are counted in one go. */
const statsAtOnce = 512
const countsAtOnce = 200

/** How long one of these questions may wait, and all of them together. */
const answerWithinMs = 2000
const allWithinMs = 8000

/** By the slot's number; 0 for those that were not asked for. */
export interface SlotsRead {
  readonly keys: Float64Array
  readonly bytes: Float64Array
  /** Time of a core that the slot has taken since the engine began to count, µs. Null: it does not count that. */
  readonly cpuUs: Float64Array | null
}

export interface SlotQuestion {
  readonly address: string
  readonly port: number
  readonly slots: readonly SlotRange[]
  readonly engine: EngineBuild
}

/** Throws UNREACHABLE_ENGINE, ENGINE_REFUSED. */
export async function readSlots(
  { address, port, slots, engine }: SlotQuestion,
  { username, password, authority }: Credentials,
): Promise<SlotsRead> {
  const link = new EngineLink({ address, port, username, password, authority, name: 'holdfast-slots' })
  const late = AbortSignal.timeout(allWithinMs)
  const ask = async (commands: readonly (readonly string[])[]): Promise<unknown[]> => {
    if (!late.aborted) return link.pipeline(commands, answerWithinMs)
    throw new HoldfastError(
      'UNREACHABLE_ENGINE',
      `${address}:${port} has not told all of its slots within ${allWithinMs / 1000} s: it is busy. Ask again later`,
      { address, port },
    )
  }
  try {
    const [text] = await ask([['INFO']])
    const info = parseInfo(String(text))
    const keys = keyCount(info)
    const bytesEach = keys === 0 ? 0 : infoNumber(info, 'used_memory_dataset') / keys
    return engineHas(engine, slotStatsSince)
      ? await readStats(slots, ask, bytesEach)
      : await countKeys(slots, ask, bytesEach)
  } finally {
    link.end()
  }
}

type Ask = (commands: readonly (readonly string[])[]) => Promise<unknown[]>

async function readStats(slots: readonly SlotRange[], ask: Ask, bytesEach: number): Promise<SlotsRead> {
  const [keys, bytes, cpuUs] = [0, 0, 0].map(() => new Float64Array(slotCountTotal)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ]
  let countsCpu = false
  for (const [from, to] of inPieces(slots, statsAtOnce)) {
    const [answer] = await ask([['CLUSTER', 'SLOT-STATS', 'SLOTSRANGE', String(from), String(to)]])
    for (const [slot, fields] of parseSlotStats(answer)) {
      keys[slot] = fields.get('key-count') ?? 0
      bytes[slot] = fields.get('memory-bytes') ?? (keys[slot] ?? 0) * bytesEach
      cpuUs[slot] = fields.get('cpu-usec') ?? 0
      countsCpu ||= fields.has('cpu-usec')
    }
  }
  return { keys, bytes, cpuUs: countsCpu ? cpuUs : null }
}

async function countKeys(slots: readonly SlotRange[], ask: Ask, bytesEach: number): Promise<SlotsRead> {
  const keys = new Float64Array(slotCountTotal)
  for (const [from, to] of inPieces(slots, countsAtOnce)) {
    const asked = Array.from({ length: to - from + 1 }, (_, index) => from + index)
    const counts = await ask(asked.map((slot) => ['CLUSTER', 'COUNTKEYSINSLOT', String(slot)]))
    for (const [index, slot] of asked.entries()) keys[slot] = Number(counts[index])
  }
  return { keys, bytes: keys.map((count) => count * bytesEach), cpuUs: null }
}

/** `[[0, ['key-count', 3, 'cpu-usec', 41, …]], …]`, by the slot. */
function parseSlotStats(answer: unknown): Map<number, ReadonlyMap<string, number>> {
  const entries = Array.isArray(answer) ? (answer as unknown[]) : []
  return new Map(
    entries.map((entry) => {
      const [slot, pairs] = entry as [number, (string | number)[]]
      const names = pairs.filter((_, index) => index % 2 === 0)
      return [slot, new Map(names.map((name, index) => [String(name), Number(pairs[2 * index + 1])]))]
    }),
  )
}

const inPieces = (slots: readonly SlotRange[], most: number): SlotRange[] =>
  slots.flatMap(([from, to]) =>
    Array.from({ length: Math.ceil((to - from + 1) / most) }, (_, index): SlotRange => {
      const first = from + index * most
      return [first, Math.min(to, first + most - 1)]
    }),
  )
