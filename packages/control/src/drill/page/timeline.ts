/** The drill drawn: one strip a client and shard, all on one axis of time, with the fault and what followed as lines. */
import type { DrillReport, PaceLine } from '@holdfast/core'
import { clientKinds, drillClients, formatDuration } from '@holdfast/core'
import type { Markup } from './markup.ts'
import { markup } from './markup.ts'

const width = 1000
const labelWidth = 120
const plotWidth = width - labelWidth
const stripHeight = 20
const stripGap = 4
const shardGap = 28
const topHeight = 44

/** More shards than this make no picture; the others are in the table. */
const shardsMax = 8

export function drawTimeline(report: DrillReport): Markup {
  const shards = shardsShown(report)
  const tops = shards.map(
    (_, index) => topHeight + shards.slice(0, index).reduce((sum, { lines }) => sum + heightOf(lines), 0),
  )
  const bottom = topHeight + shards.reduce((sum, { lines }) => sum + heightOf(lines), 0)
  const strips = shards.map(({ shard, isHit, lines }, index) =>
    drawShard(report, shard, isHit, lines, tops[index] ?? 0),
  )
  return markup`<svg viewBox="0 0 ${width} ${bottom + 30}" role="img" aria-label="Acknowledged writes over time, by shard and client">
${strips}${drawAxis(report, bottom)}${drawMarks(report, bottom)}</svg>`
}

interface ShardShown {
  readonly shard: string
  readonly isHit: boolean
  readonly lines: readonly PaceLine[]
}

/** Those that were hit first, as in the table. */
function shardsShown({ pace, targets, outages }: DrillReport): ShardShown[] {
  const order = [...new Set(outages.map(({ shard }) => shard))]
  return order.slice(0, shardsMax).map((shard) => ({
    shard,
    isHit: targets.some((target) => target.shard === shard),
    lines: clientKinds.flatMap((kind) => pace.lines.filter((line) => line.shard === shard && line.client === kind)),
  }))
}

const heightOf = (lines: readonly PaceLine[]): number => shardGap + lines.length * (stripHeight + stripGap)

function drawShard(
  report: DrillReport,
  shard: string,
  isHit: boolean,
  lines: readonly PaceLine[],
  top: number,
): Markup {
  const strips = lines.map((line, index) => drawStrip(report, line, top + shardGap + index * (stripHeight + stripGap)))
  return markup`<text class="shard" x="0" y="${top + 18}">${shard}${isHit ? ', where the fault fell' : ''}</text>${strips}`
}

function drawStrip(report: DrillReport, { client, shard, acks, troubles }: PaceLine, top: number): Markup {
  const usual = usualOf(acks)
  const bars = runsOf(acks).map(({ from, values }) =>
    drawRun(report, from, values, usual, top, drillClients[client].isOurs),
  )
  const silences = runsOf(acks.map((count) => (count === 0 ? 1 : 0))).map(({ from, values }) => {
    const [x, to] = [xOf(report, from), xOf(report, from + values.length)]
    const lasted = formatDuration(values.length * report.pace.everyMs)
    return markup`<rect class="silent" x="${fixed(x)}" y="${top}" width="${fixed(to - x)}" height="${stripHeight}"><title>${client}, ${shard}: nothing acknowledged for about ${lasted}</title></rect>`
  })
  const marks = troubles.flatMap((count, index) => {
    if (count === 0) return []
    const x = xOf(report, index + 0.5)
    return [
      markup`<circle class="trouble" cx="${fixed(x)}" cy="${top + 4}" r="2.5"><title>${client}, ${shard}: ${count} failed or undecided</title></circle>`,
    ]
  })
  return markup`<text class="name" x="8" y="${top + 14}">${client}</text><rect class="track" x="${labelWidth}" y="${top}" width="${plotWidth}" height="${stripHeight}" rx="3"/>${silences}${bars}${marks}`
}

/** What a client usually does in an interval: most of its intervals are at or below this. */
function usualOf(acks: readonly number[]): number {
  const sorted = acks.filter((count) => count > 0).sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length * 0.9)] ?? 1
}

/** One shape for each stretch of intervals that are not empty. */
function drawRun(
  report: DrillReport,
  from: number,
  values: readonly number[],
  usual: number,
  top: number,
  isOurs: boolean,
): Markup {
  const base = top + stripHeight
  const steps = values.map((count, index) => {
    const y = base - Math.max(2, Math.min(1, count / usual) * (stripHeight - 2))
    return `V${fixed(y)}H${fixed(xOf(report, from + index + 1))}`
  })
  return markup`<path class="${isOurs ? 'ours' : 'theirs'}" d="M${fixed(xOf(report, from))} ${base}${steps.join('')}V${base}Z"/>`
}

interface Stretch {
  readonly from: number
  readonly values: readonly number[]
}

function runsOf(counts: readonly number[]): Stretch[] {
  const runs: { from: number; values: number[] }[] = []
  for (const [index, count] of counts.entries()) {
    if (count === 0) continue
    const last = runs.at(-1)
    if (last !== undefined && last.from + last.values.length === index) last.values.push(count)
    else runs.push({ from: index, values: [count] })
  }
  return runs
}

/** Steps of the axis that a person can count in. */
const axisSteps = [1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000]

function drawAxis(report: DrillReport, bottom: number): Markup {
  const { beganAt, endedAt, faultAt } = report
  const step = axisSteps.find((ms) => (endedAt - beganAt) / ms <= 12) ?? 300_000
  const first = Math.ceil((beganAt - faultAt) / step)
  const count = Math.floor((endedAt - faultAt) / step) - first + 1
  const ticks = Array.from({ length: Math.max(0, count) }, (_, index) => (first + index) * step)
  return markup`<line class="rule" x1="${labelWidth}" x2="${width}" y1="${bottom + 4}" y2="${bottom + 4}"/>${ticks.map(
    (ms) => {
      const x = placeOf(report, faultAt + ms)
      const anchor = x > width - 20 ? 'end' : 'middle'
      return markup`<line class="rule" x1="${fixed(x)}" x2="${fixed(x)}" y1="${bottom + 4}" y2="${bottom + 9}"/><text x="${fixed(x)}" y="${bottom + 22}" text-anchor="${anchor}">${ms > 0 ? '+' : ''}${ms / 1000} s</text>`
    },
  )}`
}

/** The fault, the heal and the first promotions, each a line through all strips. */
function drawMarks(report: DrillReport, bottom: number): Markup {
  const { faultAt, healedAt, shares, fault } = report
  const took = shares.map(({ to, detectionMs, promotionMs }) => ({
    at: faultAt + (detectionMs ?? 0) + promotionMs,
    word: `${to} is primary`,
    kind: 'took',
  }))
  const healed =
    healedAt === null || healedAt - faultAt < report.pace.everyMs
      ? []
      : [{ at: healedAt, word: 'healed', kind: 'heal' }]
  const marks = [{ at: faultAt, word: fault, kind: 'fault' }, ...took, ...healed]
  return markup`${marks.map(({ at, word, kind }, index) => {
    const x = placeOf(report, at)
    const isRight = x > width - 120
    // Neighbours would write over each other, so every other word stands lower.
    const y = index % 2 === 0 ? 12 : 28
    return markup`<line class="${kind}" x1="${fixed(x)}" x2="${fixed(x)}" y1="${y + 4}" y2="${bottom + 4}"/><text class="${kind}-word" x="${fixed(x + (isRight ? -4 : 4))}" y="${y}" text-anchor="${isRight ? 'end' : 'start'}">${word}</text>`
  })}`
}

const xOf = (report: DrillReport, interval: number): number =>
  placeOf(report, report.pace.from + interval * report.pace.everyMs)

function placeOf({ beganAt, endedAt }: DrillReport, at: number): number {
  const share = (at - beganAt) / Math.max(1, endedAt - beganAt)
  return labelWidth + Math.min(1, Math.max(0, share)) * plotWidth
}

const fixed = (value: number): string => value.toFixed(1)
