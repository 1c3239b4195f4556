/** A drill's report as terminal text: the verdict first, then what it rests on. */
import type { DrillReport, Outage, Promotion, Share, WritesFound } from '@holdfast/core'
import { drillClients, formatDuration } from '@holdfast/core'
import { table } from './table.ts'

export function renderReport(report: DrillReport): string {
  const { verdict, deployment, fault, what, shape, cutShort, notes } = report
  return [
    `${verdict.kept ? 'KEPT' : 'BROKEN'}   ${fault} on ${deployment}: ${verdict.because}`,
    '',
    `fault    ${what}`,
    `cluster  ${shape}`,
    `when     ${whenOf(report)}`,
    ...(cutShort === null ? [] : [`ended    before its time: ${cutShort}`]),
    ...section('PROMISES', promiseLines(report)),
    ...section('OUTAGE BY CLIENT AND SHARD', outageLines(report.outages)),
    ...section('WHO TOOK OVER', promotionLines(report)),
    ...section('WRITES', writeLines(report.writes)),
    ...section('WHAT HAPPENED', timelineLines(report)),
    ...section('NOTES', notes),
  ].join('\n')
}

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)]

function whenOf({ beganAt, faultAt, healedAt, readyAt, endedAt }: DrillReport): string {
  const since = (at: number | null): string => (at === null ? 'never' : `+${formatDuration(at - faultAt)}`)
  const quiet = formatDuration(faultAt - beganAt)
  const healed = healedAt === faultAt ? 'over at once' : `healed ${since(healedAt)}`
  return `${new Date(faultAt).toISOString()} (after ${quiet} of quiet), ${healed}, ready ${since(readyAt)}, looked at until ${since(endedAt)}`
}

function promiseLines({ promises }: DrillReport): string[] {
  return promises.flatMap(({ what, because, kept, found }) => [
    `${kept ? 'kept  ' : 'BROKEN'}  ${what}: ${found}`,
    `        ${because}`,
  ])
}

function outageLines(outages: readonly Outage[]): string[] {
  if (outages.length === 0) return []
  const head = ['CLIENT', 'SHARD', 'LONGEST GAP', 'ALL GAPS', 'QUIET GAP', 'ACKED', 'FAILED', 'UNDECIDED', '']
  const rows = outages.map((one) => [
    one.client,
    one.shard,
    formatDuration(one.longestGapMs),
    formatDuration(one.gapsMs),
    formatDuration(one.quietGapMs),
    String(one.acknowledged),
    String(one.failed),
    String(one.indeterminate),
    drillClients[one.client].isOurs ? '' : 'told, not judged',
  ])
  return [
    ...table([head, ...rows]).split('\n'),
    'longest time without an acknowledgement since the fault; all such times above 100 ms; the longest before the fault',
  ]
}

function promotionLines({ promotions, shares }: DrillReport): string[] {
  return promotions.flatMap((promotion) => {
    const share = shares.find(({ shard, to }) => shard === promotion.shard && to === promotion.to)
    const reason = share?.because ?? null
    return [
      promotionLine(promotion),
      ...(reason === null ? [] : [`  ${reason}`]),
      ...(share === undefined ? [] : [`  ${shareLine(share)}`]),
    ]
  })
}

/** "shard-1: node-4 after node-1. Last seen at offset 4123, and node-1 at 4123". */
function promotionLine({ shard, from, to, offsetBefore, offsetAfter }: Promotion): string {
  const known = (offset: number | null): string => (offset === null ? 'not known' : String(offset))
  return `${shard}: ${to} after ${from ?? 'nobody'}. Last seen at offset ${known(offsetAfter)}, and ${from ?? 'the former primary'} at ${known(offsetBefore)}`
}

function shareLine({ detectionMs, promotionMs, clientMs }: Share): string {
  const clients = Object.entries(clientMs).map(([client, ms]) => `${client} ${formatDuration(ms)}`)
  const detected =
    detectionMs === null
      ? 'the engines voted by themselves'
      : `${formatDuration(detectionMs)} until it was known and a replica asked`
  return `${detected}, ${formatDuration(promotionMs)} until it was primary, then the clients: ${clients.join(', ') || 'none wrote again'}`
}

const stepsShown = 15

function timelineLines({ timeline, faultAt }: DrillReport): string[] {
  const since = timeline.filter(({ at }) => at >= faultAt)
  const shown = since.slice(0, stepsShown).map(({ at, because }) => `${signed(at - faultAt)}  ${because}`)
  const more = since.length - shown.length
  return more > 0 ? [...shown, `and ${more} more: --json and --report have them all`] : shown
}

function writeLines(writes: WritesFound): string[] {
  const { acknowledged, failed, indeterminate, indeterminateDone, lost, unread, copiesRead, differing } = writes
  return [
    `${acknowledged} acknowledged, ${failed} failed, ${indeterminate} undecided (${indeterminateDone} of them done after all)`,
    `${lost} lost, ${unread} not read, ${copiesRead} copies at replicas compared, ${differing} differ`,
    ...(lost === 0
      ? []
      : [`lost: acknowledged ${signed(writes.lostFromMs)} to ${signed(writes.lostToMs)} after the fault`]),
    ...writes.lostFirst.map(({ client, shard, key, ackedMs, found }) => {
      return `  ${client} ${shard} ${key}: acknowledged ${signed(ackedMs)}, now ${found}`
    }),
    ...writes.evicted.map(
      ({ shard, missing, evicted }) => `${shard}: ${missing} missing, ${evicted} keys evicted there`,
    ),
  ]
}

/** "-0.214 s", "+1.002 s". */
const signed = (ms: number | null): string =>
  ms === null ? '?' : `${ms < 0 ? '-' : '+'}${(Math.abs(ms) / 1000).toFixed(3)} s`
