import { readFileSync, statSync } from 'node:fs'
import type { AutoscaleAnswer, ScaleNumbers, ScalePolicy, Trace } from '@holdfast/core'
import {
  drawSimulation,
  duration,
  formatDuration,
  HoldfastError,
  parseTrace,
  parseWish,
  percent,
  policyOf,
  simulateScale,
} from '@holdfast/core'
import { readSpecFile } from '../store/read-spec.ts'
import { chooseName, withApi } from './connect.ts'
import type { Context } from './context.ts'
import { table } from './table.ts'

/** `holdfast autoscale NAME`: what would be done about its size now, and why. */
export async function autoscale(
  context: Context,
  name: string | undefined,
  { json }: { readonly json?: boolean },
): Promise<void> {
  await withApi(context, { acts: false }, async (api, isBorrowed) => {
    const answer = await api.autoscale(await chooseName(api, name))
    if (isBorrowed) context.say('no controller runs here, so nothing was measured: "holdfast serve" or "up" keeps one')
    context.out(json === true ? JSON.stringify(answer, null, 2) : renderAnswer(answer))
  })
}

function renderAnswer({ deployment, autoscale: wish, policy, decision, samples }: AutoscaleAnswer): string {
  const isOff = wish === 'off' ? ' (the spec has autoscale: off; by the defaults it would be so)' : ''
  const { shards, out, in: into } = policy
  const words = [
    ['size', `${decision.shards.from} shards, of ${shards.min} to ${shards.max}`],
    [
      'out',
      `CPU above ${percent(out.cpuAbove)} or memory above ${percent(out.memoryAbove)} for ${formatDuration(out.forMs)}`,
    ],
    ['in', `both below ${percent(into.bothBelow)} for ${formatDuration(into.forMs)}`],
    ['measured', measuredInWords(decision.numbers)],
    ['samples', `${samples.length}, one each ${formatDuration(policy.sampleEveryMs)}`],
  ]
  return [`${deployment}   ${decision.action}: ${decision.because}${isOff}`, '', table(words)].join('\n')
}

function measuredInWords({ cpu, memory, hottest, hitRate }: ScaleNumbers): string {
  if (cpu === null || memory === null || hottest === null) return 'nothing yet'
  const hit = hitRate === null ? '' : `, hit rate ${percent(hitRate)}`
  return `CPU ${percent(cpu.mean)} (${hottest.shard} ${percent(hottest.cpu)}), memory ${percent(memory.mean)}${hit}`
}

export interface SimulateOptions {
  readonly trace: string
  readonly policy?: string
  readonly shards?: string
  readonly actionTime: string
  readonly json?: boolean
}

/** A day of samples, one each second, is a tenth of this. */
const traceBytesMax = 64 * 1024 ** 2

/** `holdfast autoscale simulate`: what a policy would have done with a trace. Changes nothing, and asks nobody. */
export async function simulate(context: Context, { json, ...options }: SimulateOptions): Promise<void> {
  const actionMs = duration.safeParse(options.actionTime)
  if (!actionMs.success)
    throw new HoldfastError('USAGE', `--action-time ${options.actionTime}: how long a change takes, such as 60s`)
  const shards = options.shards === undefined ? {} : { shards: wholeShards(options.shards) }
  const policy = policyIn(options.policy)
  const played = simulateScale({ policy, trace: readTrace(options.trace), actionMs: actionMs.data, ...shards })
  const { points: _, ...told } = played
  context.out(json === true ? JSON.stringify(told, null, 2) : drawSimulation(played, chartWidth()))
}

function wholeShards(text: string): number {
  const shards = Number(text)
  if (/^\d+$/.test(text) && shards >= 3 && shards <= 500) return shards
  throw new HoldfastError('USAGE', `--shards ${text.slice(0, 40)}: how many there are at first, 3 to 500`)
}

/** Of a spec that wants none, or where there is no spec, the defaults. */
const policyIn = (file: string | undefined): ScalePolicy =>
  policyOf(parseWish(file === undefined ? { name: 'simulated' } : readSpecFile(file)))

function readTrace(path: string): Trace {
  try {
    const { size } = statSync(path)
    if (size > traceBytesMax) throw new Error(`larger than ${traceBytesMax / 1024 ** 2} MB: choose a part of it`)
    return parseTrace(new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)), path)
  } catch (error) {
    if (error instanceof HoldfastError) throw error
    throw new HoldfastError(
      'TRACE_UNREADABLE',
      `${path}: ${whyUnread(error as NodeJS.ErrnoException)}`,
      { path },
      error,
    )
  }
}

function whyUnread({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EISDIR') return 'this is a directory: name a file'
  return code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'this is not a text in UTF-8' : message
}

/** A chart as wide as the terminal; in a file, as wide as a page. */
const chartWidth = (): number => Math.max(40, Math.min(160, (process.stdout.columns ?? 105) - 9))
