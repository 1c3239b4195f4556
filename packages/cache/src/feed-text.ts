/** One word of the feed, read as strictly as any other input: of what cannot be read, only that there was a word. */
import type { Said } from './engine/said.ts'
import type { Address } from './engine/topology.ts'

export function readTopology(text: string): readonly Said[] | undefined {
  const word = parsed(text)
  const shards = fieldOf(word, 'shards')
  if (fieldOf(word, 'apiVersion') !== 1 || !Array.isArray(shards)) return undefined
  const said = shards.map(readShard)
  return said.includes(undefined) ? undefined : (said as readonly Said[])
}

function readShard(shard: unknown): Said | undefined {
  const slots = fieldOf(shard, 'slots')
  const primary = fieldOf(shard, 'primary')
  const address = primary === null ? null : readAddress(primary)
  if (!Array.isArray(slots) || !slots.every(isRange) || address === undefined) return undefined
  return {
    slots,
    primary: address,
    changing: typeof fieldOf(shard, 'change') === 'object' && fieldOf(shard, 'change') !== null,
  }
}

function readAddress(member: unknown): Address | undefined {
  const [host, port] = [fieldOf(member, 'host'), fieldOf(member, 'port')]
  const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0 && port <= 65_535
  return typeof host === 'string' && isPort ? { host, port } : undefined
}

const isRange = (range: unknown): range is [number, number] =>
  Array.isArray(range) && range.length === 2 && range.every((slot) => Number.isInteger(slot))

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
