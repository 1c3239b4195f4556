/** What those that stay will carry once some shards are gone: their memory and their load, each of them and all together. */
import { formatBytes } from '../units.ts'
import { slotTargets } from './targets.ts'

/** A shard as its primary is now. */
export interface ShardLoad {
  readonly id: string
  /** How many slots it has. */
  readonly slots: number
  /** What its primary uses; null: not known. */
  readonly usedBytes: number | null
  /** Its `maxmemory`. */
  readonly maxBytes: number
  /** How busy the main thread of its primary is, 1 a whole core; null: not known. */
  readonly cpuRatio: number | null
}

/** How full, or busy, those that stay may be, 0 to 1: all of them together, and each. */
export interface ProjectionLimits {
  readonly all: number
  readonly each: number
}

/** Ten parts in a hundred below where a deployment grows: what was just made smaller must not grow at once. */
export const limitsDefault: ProjectionLimits = { all: 0.6, each: 0.7 }

/** While keys come, their old places are still there, and what is written meanwhile comes on top. */
const freeForComing = 1.5

export interface Projection {
  /** Those that stay. `cpuRatio` null: not known. */
  readonly shards: readonly {
    readonly id: string
    readonly memoryRatio: number
    readonly cpuRatio: number | null
  }[]
  readonly memoryRatio: number
  readonly cpuRatio: number | null
  /** The arithmetic, in words. */
  readonly said: string
  /** Why these cannot go, with the arithmetic; null: they can. */
  readonly objection: string | null
}

/** Slots of those that go are shared out evenly by number, and their bytes and their load go with them. */
export function projectWithout(
  shards: readonly ShardLoad[],
  going: readonly string[],
  limits: ProjectionLimits = limitsDefault,
): Projection {
  const stay = shards.filter(({ id }) => !going.includes(id))
  const leave = shards.filter(({ id }) => going.includes(id))
  const gains = gainsOf(stay, leave)
  const bytes = leave.reduce((sum, { usedBytes }) => sum + (usedBytes ?? 0), 0)
  const cpu = sumKnown(leave.map(({ cpuRatio }) => cpuRatio))
  const each = stay.map((shard) => {
    const part = gains.get(shard.id) ?? 0
    const coming = bytes * part
    return {
      id: shard.id,
      coming,
      free: shard.maxBytes - (shard.usedBytes ?? 0),
      memoryRatio: ((shard.usedBytes ?? 0) + coming) / shard.maxBytes,
      cpuRatio: shard.cpuRatio === null || cpu === null ? null : shard.cpuRatio + cpu * part,
    }
  })
  const used = shards.reduce((sum, { usedBytes }) => sum + (usedBytes ?? 0), 0)
  const room = stay.reduce((sum, { maxBytes }) => sum + maxBytes, 0)
  const memoryRatio = used / room
  const cpuSum = sumKnown(each.map(({ cpuRatio }) => cpuRatio))
  const cpuRatio = cpuSum === null ? null : cpuSum / stay.length
  const said = [
    `${formatBytes(used)} in all on ${stay.length} shards with room for ${formatBytes(room)} is ${percent(memoryRatio)} full`,
    cpuRatio === null ? 'how busy their cores are is not known' : `their cores ${percent(cpuRatio)} busy`,
  ].join(', ')
  const unknown = shards.filter(({ usedBytes }) => usedBytes === null).map(({ id }) => id)
  const troubles = [
    unknown.length > 0 ? `it is not known how much ${unknown.join(', ')} uses` : null,
    memoryRatio > limits.all ? `${said}: more than ${percent(limits.all)} of the memory` : null,
    cpuRatio !== null && cpuRatio > limits.all ? `${said}: more than ${percent(limits.all)} of the cores` : null,
    ...each.map((one) => troubleOf(one, limits)),
  ]
  const shown = each.map((one) => ({ id: one.id, memoryRatio: one.memoryRatio, cpuRatio: one.cpuRatio }))
  return { shards: shown, memoryRatio, cpuRatio, said, objection: troubles.find((one) => one !== null) ?? null }
}

interface Coming {
  readonly id: string
  readonly coming: number
  readonly free: number
  readonly memoryRatio: number
  readonly cpuRatio: number | null
}

function troubleOf({ id, coming, free, memoryRatio, cpuRatio }: Coming, { each }: ProjectionLimits): string | null {
  if (memoryRatio > each) return `${id} would be ${percent(memoryRatio)} full, more than ${percent(each)}`
  if (free < coming * freeForComing) {
    return `${formatBytes(coming)} would come to ${id}, which has ${formatBytes(free)} free: it takes ${freeForComing} times as much while they come`
  }
  if (cpuRatio !== null && cpuRatio > each) {
    return `the core of ${id} would be ${percent(cpuRatio)} busy, more than ${percent(each)}`
  }
  return null
}

/** Which part of what goes comes to each, by the slots that it lacks then. */
function gainsOf(stay: readonly ShardLoad[], leave: readonly ShardLoad[]): Map<string, number> {
  const have = new Map([...stay, ...leave].map(({ id, slots }) => [id, slots]))
  const total = [...have.values()].reduce((sum, slots) => sum + slots, 0)
  const targets = slotTargets(have, new Map(stay.map(({ id }) => [id, 1])), total)
  const gains = stay.map(({ id, slots }) => [id, Math.max(0, (targets.get(id) ?? 0) - slots)] as const)
  const sum = gains.reduce((all, [, gain]) => all + gain, 0)
  return new Map(gains.map(([id, gain]) => [id, sum === 0 ? 1 / stay.length : gain / sum]))
}

function sumKnown(values: readonly (number | null)[]): number | null {
  return values.reduce<number | null>((sum, value) => (sum === null || value === null ? null : sum + value), 0)
}

const percent = (ratio: number): string => `${Math.round(ratio * 100)} %`
