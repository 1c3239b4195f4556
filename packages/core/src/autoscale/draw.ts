/** A simulation as a person sees it: two charts, the sizes below them, and every step with its reason. */
import { formatDuration, formatInstant } from '../units.ts'
import { percent } from './percent.ts'
import type { ScalePolicy } from './policy.ts'
import type { SimulatedDecision, SimulatedPoint, Simulation } from './simulate.ts'

const rowsOfChart = 10
const blocks = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
const labelWidth = 7

/** `width`: of the charts, in characters. */
export function drawSimulation(
  { policy, points, decisions, droppedDecisions, summary }: Simulation,
  width = 96,
): string {
  const columns = columnsOf(points, Math.min(width, points.length))
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined) return ''
  const size = sizeLine(columns)
  const times = `${formatInstant(first.at)}${' '.repeat(Math.max(1, columns.length - 42))} ${formatInstant(last.at)}`
  return [
    ...chart(
      'CPU',
      columns.map(({ cpu }) => cpu),
      [policy.out.cpuAbove, policy.in.bothBelow],
    ),
    '',
    ...chart(
      'memory',
      columns.map(({ memory }) => memory),
      [policy.out.memoryAbove, policy.in.bothBelow],
    ),
    '',
    `${'shards'.padEnd(labelWidth)}│${size}`,
    `${'steps'.padEnd(labelWidth)}│${columns
      .map(({ step }) => marks[step])
      .join('')
      .trimEnd()}`,
    `${' '.repeat(labelWidth)}└ ${times}`,
    `${' '.repeat(labelWidth + 2)}+ a shard more, - a shard less; ┄ ${percent(policy.out.cpuAbove)} and ${percent(policy.in.bothBelow)}; ? not measured`,
    '',
    ...stepLines(decisions),
    ...(droppedDecisions === 0 ? [] : [`… and ${droppedDecisions} decisions before these`]),
    '',
    summaryLine(summary, policy),
  ].join('\n')
}

interface Column {
  readonly cpu: number | null
  readonly memory: number | null
  readonly shards: number
  readonly step: keyof typeof marks
}

const marks = { none: ' ', out: '+', in: '-', both: '±' } as const

/** Of several points the highest is shown: what was too much must not vanish in a mean. */
function columnsOf(points: readonly SimulatedPoint[], count: number): Column[] {
  return Array.from({ length: count }, (_, index) => {
    const part = points.slice(
      Math.floor((index * points.length) / count),
      Math.floor(((index + 1) * points.length) / count),
    )
    const steps = new Set(part.flatMap(({ step }) => step ?? []))
    return {
      cpu: highest(part.map(({ cpu }) => cpu)),
      memory: highest(part.map(({ memory }) => memory)),
      shards: part.at(-1)?.shards ?? 0,
      step: steps.size === 2 ? 'both' : ([...steps][0] ?? 'none'),
    }
  })
}

function highest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? null : Math.max(...known)
}

function chart(name: string, values: readonly (number | null)[], limits: readonly number[]): string[] {
  return Array.from({ length: rowsOfChart }, (_, index) => {
    const bottom = (rowsOfChart - 1 - index) / rowsOfChart
    const limit = limits.find((one) => one >= bottom && one < bottom + 1 / rowsOfChart)
    const label = index === 0 ? name : limit === undefined ? '' : percent(limit)
    const cells = values.map((value) => cellOf(value, bottom, limit !== undefined))
    return `${label.padEnd(labelWidth)}│${cells.join('').trimEnd()}`
  })
}

function cellOf(value: number | null, bottom: number, isLimit: boolean): string {
  if (value === null) return bottom === 0 ? '?' : ' '
  const eighths = Math.max(0, Math.min(8, Math.round((value - bottom) * rowsOfChart * 8)))
  return eighths === 0 && isLimit ? '┄' : (blocks[eighths] ?? ' ')
}

/** The size where it changes, and dots while it stays. */
function sizeLine(columns: readonly Column[]): string {
  const line: string[] = columns.map(() => '·')
  let shown: number | null = null
  for (const [index, { shards }] of columns.entries()) {
    if (shards === shown) continue
    for (const [offset, digit] of String(shards).split('').entries())
      if (index + offset < line.length) line[index + offset] = digit
    shown = shards
  }
  return line.join('')
}

function stepLines(decisions: readonly SimulatedDecision[]): string[] {
  const steps = decisions.filter(({ action }) => action === 'out' || action === 'in')
  if (steps.length === 0) return [`no step: ${decisions.at(-1)?.because ?? 'nothing was decided'}`]
  return steps.map(({ at, action, rule, because }) => `${formatInstant(at)}  ${action.padEnd(3)}  ${rule}: ${because}`)
}

function summaryLine(
  { outs, ins, shardsMin, shardsMax, ...times }: Simulation['summary'],
  policy: ScalePolicy,
): string {
  const above = `above ${percent(policy.out.cpuAbove)} CPU or ${percent(policy.out.memoryAbove)} memory`
  const undecided = times.undecidedMs === 0 ? '' : `, undecided for ${formatDuration(times.undecidedMs)}`
  return `${outs} out, ${ins} in, ${shardsMin} to ${shardsMax} shards; ${above} for ${formatDuration(times.aboveMs)} of ${formatDuration(times.totalMs)}${undecided}`
}
