import type { Availability, Incident, Ledger } from '@holdfast/core'
import { describeLoss, describePromotion, duration, formatDuration, formatShare, HoldfastError } from '@holdfast/core'
import { chooseName, withApi } from './connect.ts'
import type { Context } from './context.ts'
import { table } from './table.ts'

export interface IncidentsOptions {
  readonly since: string
  readonly json?: boolean
}

/** `holdfast incidents NAME`: what kept applications from writing, for how long, and why; the newest first. */
export async function incidents(
  context: Context,
  name: string | undefined,
  { since, json }: IncidentsOptions,
): Promise<void> {
  const period = duration.safeParse(since)
  if (!period.success) throw new HoldfastError('USAGE', `--since ${since}: how far to look back, such as 24h or 30d`)
  await withApi(context, { acts: false }, async (api) => {
    const found = await api.incidents(await chooseName(api, name), Math.max(0, Date.now() - period.data))
    context.out(json === true ? JSON.stringify(found, null, 2) : renderLedger(found))
  })
}

function renderLedger({ deployment, because, shards, incidents: found }: Ledger): string {
  const rows = Object.entries(shards).map(([shard, seen]) => [shard, ...availabilityRow(seen)])
  const head = `${deployment}   ${because}`
  const byShard = rows.length === 0 ? [] : [table([['SHARD', 'WRITABLE', 'NOT WRITABLE', 'LOOKED AT'], ...rows])]
  return [head, ...byShard, ...found.map(renderIncident)].join('\n\n')
}

const availabilityRow = ({ ratio, observedMs, notWritableMs }: Availability): string[] => [
  ratio === null ? '?' : formatShare(ratio),
  notWritableMs === 0 ? '-' : formatDuration(notWritableMs),
  formatDuration(observedMs),
]

function renderIncident(incident: Incident): string {
  const { id, kind, beganAt, endedAt, shards, because, promotions, madeWorseBy, notWritableMs, drill } = incident
  const lasted = endedAt === null ? 'goes on' : formatDuration(endedAt - beganAt)
  const times = Object.entries(notWritableMs).map(([shard, ms]) => `${shard} ${formatDuration(ms)}`)
  const facts: [name: string, value: string][] = [
    ...promotions.map((one): [string, string] => ['promoted', describePromotion(one)]),
    ['lost', describeLoss(incident)],
    ['not writable', times.length === 0 ? 'not that the probe saw' : times.join(', ')],
    ...madeWorseBy.map((one): [string, string] => ['made worse', one]),
    ...(drill === null ? [] : [['on purpose', `fault ${drill}`] satisfies [string, string]]),
  ]
  return [
    `${new Date(beganAt).toISOString()}   ${kind}   ${lasted}   ${shards.join(', ')}   ${id}`,
    `  ${because}`,
    ...facts.map(([name, value]) => `  ${name.padEnd(12)}  ${value}`),
    ...incident.timeline.map(({ at, because: said }) => `  ${afterBeginning(at - beganAt).padStart(12)}  ${said}`),
  ].join('\n')
}

/** What led to it may have been said before it began. */
const afterBeginning = (ms: number): string => `${ms < 0 ? '-' : '+'}${formatDuration(Math.abs(ms))}`
