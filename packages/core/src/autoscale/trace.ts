/**
 * A trace: what a deployment had to do over a time, as CSV, as JSON lines, or as the API answers it. Load is told as it
 * was measured, on the primaries that there were then; what is kept is the load of all, whatever their number.
 */
import { z } from 'zod'
import { HoldfastError } from '../error.ts'
import { ratio } from '../units.ts'
import { readInstant } from '../when.ts'
import type { LoadSample } from './window.ts'
import { sumOf } from './window.ts'

export interface Trace {
  readonly loads: readonly Load[]
  /** The usual time between two of them. */
  readonly everyMs: number
}

/** What all primaries together had to do since the moment before. Null: not measured. */
export interface Load {
  /** Ms since 1970, or since the trace began. */
  readonly at: number
  /** On how many primaries it was measured. */
  readonly shards: number
  /** Time of their main threads, in cores. */
  readonly cores: number | null
  /** Memory that they used, in nodes that are full. */
  readonly nodesFull: number | null
  readonly evicted: number | null
  readonly hits: number | null
  readonly misses: number | null
}

const loadsMin = 3
export const traceLoadsMax = 100_000

const columns = ['at', 'shards', 'cpu', 'memory', 'evicted', 'hits', 'misses'] as const
const needed = ['at', 'shards', 'cpu', 'memory']

/** Reads a trace. Throws TRACE_UNREADABLE with file and line. */
export function parseTrace(text: string, file: string): Trace {
  const at = (line: number, message: string): HoldfastError =>
    new HoldfastError('TRACE_UNREADABLE', `${file}:${line}: ${message}`, { file, line })
  const loads: Load[] = []
  for (const { line, read } of rowsOf(text)) {
    const load = orThrow(read, (message) => at(line, message))
    const last = loads.at(-1)
    if (last !== undefined && load.at <= last.at) throw at(line, 'not later than the line before: sort by time')
    if (loads.length === traceLoadsMax)
      throw at(line, `more than ${traceLoadsMax} moments: choose a part, or every tenth`)
    loads.push(load)
  }
  if (loads.length < loadsMin) throw at(1, `${loads.length} moments: a trace has at least ${loadsMin}`)
  return { loads, everyMs: usualGap(loads) }
}

interface Row {
  readonly line: number
  /** Throws Error with what is wrong. */
  readonly read: () => Load
}

function rowsOf(text: string): Row[] {
  if (!text.trimStart().startsWith('{')) return csvRows(text)
  const whole = wholeAnswer(text)
  if (whole !== null) return whole.map((sample, index) => ({ line: index + 1, read: () => loadOfJson(sample) }))
  return linesOf(text).map(({ line, content }) => ({ line, read: () => loadOfJson(parsed(content)) }))
}

/** What `GET …/autoscale` answers, or what was saved of it; null: it is something else. */
function wholeAnswer(text: string): unknown[] | null {
  try {
    const answer = z.object({ samples: z.array(z.unknown()) }).safeParse(JSON.parse(text))
    return answer.success ? answer.data.samples : null
  } catch {
    return null
  }
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content)
  } catch {
    throw new Error('no JSON: each line is one object')
  }
}

const linesOf = (text: string): { line: number; content: string }[] =>
  text
    .split(/\r?\n/)
    .map((content, index) => ({ line: index + 1, content: content.trim() }))
    .filter(({ content }) => content !== '' && !content.startsWith('#'))

function csvRows(text: string): Row[] {
  const [head, ...rows] = linesOf(text)
  if (head === undefined) return []
  const names = head.content.split(',').map((name) => name.trim())
  const headFault = faultOfHead(names)
  const readHead = (): Load => {
    throw new Error(headFault ?? '')
  }
  if (headFault !== null) return [{ line: head.line, read: readHead }]
  return rows.map(({ line, content }) => ({
    line,
    read: () => {
      const cells = content.split(',').map((cell) => cell.trim())
      if (cells.length !== names.length) throw new Error(`${cells.length} values under ${names.length} names`)
      return loadOfFields(Object.fromEntries(names.map((name, index) => [name, cells[index] ?? ''])))
    },
  }))
}

function faultOfHead(names: readonly string[]): string | null {
  const unknown = names.find((name) => !columns.some((known) => known === name))
  const missing = needed.find((name) => !names.includes(name))
  const all = `the first line names the columns: ${needed.join(',')}, and perhaps evicted,hits,misses`
  if (unknown !== undefined) return `"${unknown.slice(0, 40)}" is no column; ${all}`
  if (missing !== undefined) return `there is no column "${missing}"; ${all}`
  return new Set(names).size < names.length ? `a column is there twice; ${all}` : null
}

/** One as the API tells it, shard by shard; or the same fields as in CSV. */
function loadOfJson(value: unknown): Load {
  const sample = sampleSchema.safeParse(value)
  if (sample.success) return loadOfSample(sample.data)
  const fields = z.record(z.string(), z.union([z.string(), z.number(), z.null()])).safeParse(value)
  if (!fields.success) throw new Error('neither a sample of the API nor an object with at, shards, cpu and memory')
  const fault = faultOfHead(Object.keys(fields.data))
  if (fault !== null)
    throw new Error(fault.replace('the first line names the columns', 'write').replace('column', 'field'))
  return loadOfFields(Object.fromEntries(Object.entries(fields.data).map(([name, one]) => [name, String(one ?? '')])))
}

const amount = z.number().min(0).nullable()

const sampleSchema = z.object({
  at: z.number(),
  shards: z.array(
    z.object({
      shard: z.string(),
      primary: z.string().nullable(),
      cpu: amount,
      memoryBytes: amount,
      memoryMaxBytes: amount,
      evicted: amount,
      hits: amount,
      misses: amount,
    }),
  ),
})

function loadOfSample({ at, shards }: LoadSample): Load {
  const total = (field: 'cpu' | 'memoryBytes' | 'memoryMaxBytes' | 'evicted' | 'hits' | 'misses'): number | null =>
    shards.some((load) => load[field] === null) ? null : sumOf(shards, (load) => load[field] ?? 0)
  const [used, most] = [total('memoryBytes'), total('memoryMaxBytes')]
  const nodesFull = used === null || most === null || most === 0 ? null : (used / most) * shards.length
  const counts = { evicted: total('evicted'), hits: total('hits'), misses: total('misses') }
  return { at, shards: shards.length, cores: total('cpu'), nodesFull, ...counts }
}

function loadOfFields(fields: Readonly<Record<string, string>>): Load {
  const shards = Number(fields['shards'])
  if (!Number.isInteger(shards) || shards < 1 || shards > 500) throw new Error('shards: a whole number, 1 to 500')
  const [cpu, memory] = [shareIn(fields, 'cpu'), shareIn(fields, 'memory')]
  return {
    at: timeIn(fields['at'] ?? ''),
    shards,
    cores: cpu === null ? null : cpu * shards,
    nodesFull: memory === null ? null : memory * shards,
    evicted: countIn(fields, 'evicted'),
    hits: countIn(fields, 'hits'),
    misses: countIn(fields, 'misses'),
  }
}

function timeIn(text: string): number {
  const at = /^\d+$/.test(text) ? Number(text) : readInstant(text.replace(/\.\d+Z$/, 'Z'))
  if (at !== undefined && Number.isSafeInteger(at)) return at
  throw new Error(`at: "${text.slice(0, 40)}" is no time: write 2026-12-01T02:00:00Z, or whole ms`)
}

/** `70%`, or 0.7; more than all is load that one size cannot bear, and that is written with %. */
function shareIn(fields: Readonly<Record<string, string>>, name: 'cpu' | 'memory'): number | null {
  const text = fields[name] ?? ''
  if (text === '') return null
  const share = ratio.safeParse(text)
  if (share.success) return share.data
  const [, above] = /^(\d+(?:\.\d+)?)%$/.exec(text) ?? []
  if (above !== undefined && Number(above) <= 10_000) return Number(above) / 100
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) <= 1) return Number(text)
  throw new Error(`${name}: "${text.slice(0, 40)}" is not a share: write 70% or 0.7, and above all of it 120%`)
}

/** A column that is not there is nothing that happened; a cell that is empty was not measured. */
function countIn(fields: Readonly<Record<string, string>>, name: 'evicted' | 'hits' | 'misses'): number | null {
  const text = fields[name]
  if (text === undefined) return 0
  if (text === '') return null
  if (/^\d+$/.test(text)) return Number(text)
  throw new Error(`${name}: "${text.slice(0, 40)}" is not a count of keys since the line before`)
}

function orThrow(read: () => Load, told: (message: string) => HoldfastError): Load {
  try {
    return read()
  } catch (error) {
    throw told((error as Error).message)
  }
}

/** The middle one: pauses in between are missing samples, and no other pace. */
function usualGap(loads: readonly Load[]): number {
  const gaps = loads.slice(1).map(({ at }, index) => at - (loads[index]?.at ?? at))
  return gaps.sort((a, b) => a - b)[Math.floor(gaps.length / 2)] ?? 1
}
