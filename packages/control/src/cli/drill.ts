import type { ClientKind, DrillReport, FaultName, FaultOrder, FaultPreview, Spec } from '@holdfast/core'
import {
  clientKinds,
  duration,
  errorTable,
  faultMsMax,
  faultNames,
  faultTable,
  formatDuration,
  HoldfastError,
  parseSpec,
} from '@holdfast/core'
import type { Desk } from '../drill/desk.ts'
import { startFarWorkload } from '../drill/far-workload.ts'
import { renderPage } from '../drill/page/page.ts'
import { nobodyHeals, runDrill } from '../drill/run.ts'
import type { DrillPorts, DrillWish } from '../drill/wish.ts'
import { faultWishOf } from '../drill/wish.ts'
import type { Api } from './api.ts'
import { confirm } from './ask.ts'
import { chooseAmong, runningApi } from './connect.ts'
import type { Context } from './context.ts'
import { renderReport } from './drill-text.ts'
import { Interrupts } from './interrupts.ts'
import { claimFile } from './written-file.ts'

export interface DrillOptions {
  readonly list?: boolean
  readonly stop?: boolean
  readonly for?: string
  readonly node?: string
  readonly clients?: string
  readonly report?: string
  readonly json?: boolean
  readonly yesOnProduction?: string
  readonly yes?: boolean
}

/** `holdfast drill NAME FAULT`: breaks something on purpose, measures what it costs, and says whether the promise held. */
export async function drill(context: Context, name: string, fault: string, options: DrillOptions): Promise<number> {
  const [chosen, another] = faultsNamed(fault)
  if (another !== undefined) throw usage('one fault at a time; several in turn are for --ci')
  const file = options.report === undefined ? undefined : claimFile(options.report)
  try {
    const asked = await wishFrom(context, name, chosen as FaultName, options)
    const wish = await agree(context, asked, options.yes === true)
    const report = await interruptible(context, (signal) => runDrill(wish, portsOf(context, signal)))
    context.out(options.json === true ? JSON.stringify(report) : renderReport(report))
    file?.write(renderPage(report))
    if (options.report !== undefined) context.say(`The report is in ${options.report}`)
    return report.verdict.kept ? 0 : failed(context, report)
  } finally {
    file?.giveUp()
  }
}

/** `holdfast drill --list`: what can be done, and what it may cost. */
export function listFaults(context: Context, json: boolean): void {
  if (json) return context.out(JSON.stringify(faultTable, null, 2))
  const rows = faultNames.map((name) => {
    const { what, forMs, heals, costs, needs } = faultTable[name]
    const lasts = forMs === 0 ? 'it is over at once' : `for ${formatDuration(forMs)}, or --for`
    return [
      `${name}: ${what}`,
      `  lasts   ${lasts}`,
      `  heals   ${heals}`,
      `  costs   ${costs}`,
      ...(needs === 'nothing' ? [] : [`  needs   ${needs}`]),
    ].join('\n')
  })
  context.out(rows.join('\n\n'))
}

/** `holdfast drill NAME --stop`: ends every fault that lasts. A drill that runs goes on to its report. */
export async function stopFaults(context: Context, name: string): Promise<void> {
  const api = apiNow(context)
  const chosen = chooseAmong(await api.names(), name)
  const lasting = (await api.faults(chosen)).filter(({ healedAt }) => healedAt === null)
  if (lasting.length === 0) return context.say(`no fault lasts on ${chosen}`)
  for (const { id, because } of lasting) {
    const { trouble } = await api.healFault(chosen, id)
    context.say(trouble === null ? `healed: ${because}` : `${because}: not healed, ${trouble}`)
  }
}

export function faultsNamed(text: string): FaultName[] {
  return text.split(',').map((word) => {
    const known = faultNames.find((name) => name === word.trim())
    if (known !== undefined) return known
    throw usage(
      `there is no fault ${JSON.stringify(word.slice(0, 40))}. There are ${faultNames.join(', ')}: "holdfast drill --list" explains them`,
    )
  })
}

/** What is asked for, checked against what there is. */
export async function wishFrom(
  context: Context,
  name: string,
  fault: FaultName,
  options: DrillOptions,
): Promise<DrillWish> {
  const forMs = options.for === undefined ? null : lengthOf(options.for, fault)
  const named = options.clients === undefined ? undefined : clientsNamed(options.clients)
  const api = apiNow(context)
  const deployment = chooseAmong(await api.names(), name)
  const clients = named ?? usualClients(parseSpec((await api.spec(deployment)).spec))
  return {
    deployment,
    fault,
    forMs,
    node: options.node ?? null,
    clients,
    onProduction: options.yesOnProduction ?? null,
  }
}

function lengthOf(text: string, fault: FaultName): number {
  if (faultTable[fault].forMs === 0) throw usage(`${fault} is over at once: leave out --for`)
  const parsed = duration.safeParse(text)
  if (!parsed.success) throw usage(`--for ${text}: ${parsed.error.issues[0]?.message}`)
  if (parsed.data > 0 && parsed.data <= faultMsMax) return parsed.data
  throw usage(`--for ${text}: a fault lasts longer than nothing and at most ${formatDuration(faultMsMax)}`)
}

function clientsNamed(text: string): ClientKind[] {
  const kinds = text.split(',').map((word) => {
    const known = clientKinds.find((kind) => kind === word.trim())
    if (known !== undefined) return known
    throw usage(`there is no kind of client ${JSON.stringify(word.slice(0, 40))}: there are ${clientKinds.join(', ')}`)
  })
  return [...new Set(kinds)]
}

/** Without a replica nothing durable is ever acknowledged. */
const usualClients = ({ replicasPerShard }: Spec): ClientKind[] =>
  clientKinds.filter((kind) => kind !== 'durable' || replicasPerShard > 0)

/** Says what was looked at and what it may cost, and asks. Answers the wish with the node that was shown. */
async function agree(context: Context, wish: DrillWish, yes: boolean): Promise<DrillWish> {
  const { order, costs, heals } = await whatItWouldDo(context, wish)
  context.say(`  what it may cost: ${costs}\n  how it heals: ${heals}`)
  await confirm(context, `${order.because}, on ${wish.deployment}?`, yes)
  const isOnOneNode = ['a primary', 'a replica'].includes(faultTable[wish.fault].aim)
  return { ...wish, node: isOnOneNode ? (order.targets[0]?.id ?? wish.node) : wish.node }
}

/** Tells each thing that was looked at. Throws REFUSED_DRILL where something stands against it. */
export async function whatItWouldDo(
  context: Context,
  wish: DrillWish,
): Promise<FaultPreview & { readonly order: FaultOrder }> {
  const { deployment, fault } = wish
  const preview = await apiNow(context).previewFault(deployment, faultWishOf(wish, null))
  const { order, preconditions } = preview
  for (const { met, because } of preconditions) context.say(`  ${met ? '+' : '-'} ${because}`)
  if (order !== null) return { ...preview, order }
  const against = preconditions.filter(({ met }) => !met).map(({ because }) => because)
  const sentence = `${fault} was not injected on ${deployment}: ${against.join('; ')}`
  throw new HoldfastError('REFUSED_DRILL', sentence, { deployment, fault, against })
}

export function portsOf(context: Context, signal: AbortSignal): DrillPorts {
  const findDesk = (): Desk | undefined => runningApi(context)
  return { home: context.home, findDesk, startWorkload: startFarWorkload, say: context.say, signal }
}

/** The first Ctrl-C ends the drill, which heals and reports. The second leaves; then the fault's own timer heals. */
async function interruptible(
  context: Context,
  work: (signal: AbortSignal) => Promise<DrillReport>,
): Promise<DrillReport> {
  const interrupts = new Interrupts()
  void interrupts.second().then(() => {
    context.say('leaving; the fault ends by its own timer')
    process.exit(errorTable.DRILL_FAILED.exit)
  })
  try {
    return await work(interrupts.signal)
  } finally {
    interrupts.close()
  }
}

export function apiNow(context: Context): Api {
  const api = runningApi(context)
  if (api !== undefined) return api
  throw nobodyHeals()
}

function failed({ say }: Context, { verdict }: DrillReport): number {
  say(`the promise was not kept: ${verdict.because}\n(DRILL_FAILED)`)
  return errorTable.DRILL_FAILED.exit
}

export const usage = (sentence: string): HoldfastError => new HoldfastError('USAGE', sentence)
