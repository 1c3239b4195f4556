/**
 * Values of a megabyte each, in one slot of the primary, until it is full: it evicts, or refuses to write. They are made
 * by SETRANGE, which fills memory with a command of a few bytes: neither the link to the replica nor the append-only
 * file grows by what memory does.
 */
import type { EngineLink } from '../../engine/link.ts'
import { adminLink } from './admin-link.ts'
import type { FaultCase } from './fault-file.ts'
import type { Injury } from './injury.ts'

const valueBytes = 1024 ** 2
/** 2 GB of values, and a few for what the engine counts otherwise. */
const valuesMax = 2048 + 16
const atOnce = 4
/** A tag in a slot of any of 500 shards is found within these, all but certainly. */
const tagsMax = 8000

export const memoryFull: Injury = {
  inject: async (fault, over) => {
    const [target] = fault.scene.targets
    if (target === undefined) return
    const link = adminLink(target, fault)
    try {
      const keyOf = await ownKeys(link, fault)
      const before = await memoryOf(link)
      for (let count = 0; count < valuesMax && !over.aborted; count += atOnce) {
        const keys = Array.from({ length: atOnce }, (_, index) => keyOf(count + index))
        const isRefused = await fill(link, keys)
        const { used, max, evicted } = await memoryOf(link)
        if (isRefused || used >= max || evicted > before.evicted) return
      }
      if (!over.aborted) throw new Error(`${target.id} is not full after ${valuesMax} MB`)
    } finally {
      link.close()
    }
  },
  heal: async (fault) => {
    const shard = fault.scene.targets[0]?.shard
    // The shard's primary may be another by now, and has the filler from its former one.
    const members = fault.scene.nodes.filter((node) => node.shard === shard)
    const cleaned = await Promise.all(members.map((node) => unlinkAt(node, fault)))
    if (!cleaned.includes(true)) throw new Error(`${shard} has no primary that could delete the filler`)
  },
}

/** Deletes the filler at this node. False: it is not the primary. */
async function unlinkAt(node: FaultCase['scene']['nodes'][number], fault: FaultCase): Promise<boolean> {
  const link = adminLink(node, fault)
  try {
    const [role] = (await link.command(['ROLE'])) as unknown[]
    if (role !== 'master') return false
    const keyOf = await ownKeys(link, fault)
    for (let from = 0; from < valuesMax; from += 129) {
      const keys = Array.from({ length: Math.min(129, valuesMax - from) }, (_, index) => keyOf(from + index))
      await link.command(['UNLINK', ...keys], 5000)
    }
    return true
  } catch {
    return false
  } finally {
    link.close()
  }
}

/** Keys in a slot that this primary owns: the first tag that it does not send elsewhere. The same each time. */
async function ownKeys(link: EngineLink, { order }: FaultCase): Promise<(count: number) => string> {
  for (let tag = 0; tag < tagsMax; tag++) {
    const keyOf = (count: number): string => `{${tag}}holdfast:drill:${order.id}:${count}`
    const isOwn = await link.command(['EXISTS', keyOf(0)]).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Error && error.message.includes('MOVED')) return false
        throw error
      },
    )
    if (isOwn) return keyOf
  }
  throw new Error('it owns no slots')
}

/** True: the engine refuses, because it is full and may not evict. */
async function fill(link: EngineLink, keys: readonly string[]): Promise<boolean> {
  const last = String(valueBytes - 1)
  try {
    await link.pipeline(
      keys.map((key) => ['SETRANGE', key, last, 'x']),
      10_000,
    )
    return false
  } catch (error) {
    if (error instanceof Error && error.message.includes('OOM')) return true
    throw error
  }
}

async function memoryOf(link: EngineLink): Promise<{ used: number; max: number; evicted: number }> {
  const [memory, stats] = await link.pipeline([
    ['INFO', 'memory'],
    ['INFO', 'stats'],
  ])
  const numberIn = (text: unknown, field: string): number =>
    Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(String(text))?.[1] ?? Number.NaN)
  return {
    used: numberIn(memory, 'used_memory'),
    max: numberIn(memory, 'maxmemory'),
    evicted: numberIn(stats, 'evicted_keys'),
  }
}
