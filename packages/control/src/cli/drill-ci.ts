/**
 * `holdfast drill NAME FAULTS --ci -- COMMAND`: drills one after the other while a command runs, such as somebody's own
 * tests. Each is a whole drill with a record and a verdict of its own, so nothing grows with the command's length. When
 * the command ends, the drill under way heals at once and reports.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { DrillReport, FaultName, Status } from '@holdfast/core'
import { accessTo, duration, errorTable, faultMsMax, formatDuration, HoldfastError, urlFor } from '@holdfast/core'
import { runDrill } from '../drill/run.ts'
import type { DrillWish } from '../drill/wish.ts'
import { confirm } from './ask.ts'
import { statusOnceSeen } from './connect.ts'
import type { Context } from './context.ts'
import type { DrillOptions } from './drill.ts'
import { apiNow, faultsNamed, portsOf, usage, whatItWouldDo, wishFrom } from './drill.ts'
import { renderReport } from './drill-text.ts'

export interface CiOptions extends DrillOptions {
  readonly ci?: boolean
  readonly every?: string
}

/** They cost at most a moment's writes of one shard, whatever the deployment keeps. */
const allSafe: Readonly<Record<Status['topology'], readonly FaultName[]>> = {
  cluster: ['kill-primary', 'kill-replica', 'freeze', 'kill-two', 'storm'],
  sentinel: ['kill-primary', 'kill-replica', 'kill-sentinel', 'freeze', 'storm'],
  standalone: ['kill-primary', 'storm'],
}

export async function drillWhile(
  context: Context,
  name: string,
  faults: string,
  options: CiOptions,
  command: readonly string[],
): Promise<number> {
  const [file, ...args] = command
  if (file === undefined) throw usage('which command? It follows "--": holdfast drill NAME FAULTS --ci -- npm test')
  if (options.report !== undefined)
    throw usage('--ci makes a report for each fault: --json prints them all, --report is for a single drill')
  const everyMs = everyOf(options.every ?? '20s')
  const list = faults === 'all-safe' ? await safeFor(context, name) : faultsNamed(faults)
  const wishes: DrillWish[] = []
  for (const fault of list) wishes.push(await wishFrom(context, name, fault, options))
  const [{ deployment }] = wishes as [DrillWish]
  const env = await addressOf(context, deployment)
  for (const wish of wishes) {
    context.say(wish.fault)
    await whatItWouldDo(context, wish)
  }
  const round = list.length === 1 ? list.join() : `${list.join(', ')}, and again`
  await confirm(
    context,
    `Run ${file} while ${deployment} suffers ${round}, one every ${formatDuration(everyMs)}?`,
    options.yes === true,
  )
  context.say(`faults in turn: ${round}; one every ${formatDuration(everyMs)}`)

  const running = start(file, args, env)
  const drills = await drillInTurn(context, wishes, everyMs, running)
  const code = await running.ended
  return verdictOf(context, drills, code, options.json === true)
}

async function safeFor(context: Context, name: string): Promise<readonly FaultName[]> {
  const { topology } = await statusOnceSeen(apiNow(context), name)
  return allSafe[topology]
}

function everyOf(text: string): number {
  const parsed = duration.safeParse(text)
  if (!parsed.success) throw usage(`--every ${text}: ${parsed.error.issues[0]?.message}`)
  if (parsed.data >= 1000 && parsed.data <= faultMsMax) return parsed.data
  throw usage(`--every ${text}: from 1s to ${formatDuration(faultMsMax)}`)
}

/** Where the deployment is, in the forms that programs know. In the environment, which others cannot read as arguments. */
async function addressOf(context: Context, name: string): Promise<Record<string, string>> {
  const api = apiNow(context)
  const facts = accessTo(await statusOnceSeen(api, name), await api.credentials(name))
  return {
    HOLDFAST_URL: urlFor('holdfast', facts, { showSecret: true }),
    REDIS_URL: urlFor('redis', facts, { showSecret: true }),
    REDIS_CLUSTER_NODES: facts.nodes.map(({ address, port }) => `${address}:${port}`).join(','),
    REDIS_USERNAME: facts.user,
    REDIS_PASSWORD: facts.password,
    ...(facts.authority == null ? {} : { HOLDFAST_CA: facts.authority }),
  }
}

interface Running {
  /** Fires when it has ended. */
  readonly signal: AbortSignal
  /** Its exit code; a signal's as a shell tells it. */
  readonly ended: Promise<number>
}

const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function start(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Running {
  const child = spawn(file, [...args], { stdio: 'inherit', env: { ...process.env, ...env } })
  const over = new AbortController()
  // A terminal has told the command already, which is in the same foreground.
  const pass = (signal: NodeJS.Signals): void => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
  }
  for (const signal of passedOn) process.on(signal, pass)
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (error) => reject(usage(`cannot run ${file}: ${error.message}`)))
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']))
  }).finally(() => {
    for (const signal of passedOn) process.off(signal, pass)
    over.abort(new Error('the command has ended'))
  })
  // Who waits for it hears of it; until then nobody may.
  ended.catch(() => {})
  return { signal: over.signal, ended }
}

interface Drilled {
  readonly reports: readonly DrillReport[]
  /** Faults that were refused, and why. */
  readonly refused: readonly string[]
}

async function drillInTurn(
  context: Context,
  wishes: readonly DrillWish[],
  everyMs: number,
  { signal }: Running,
): Promise<Drilled> {
  const reports: DrillReport[] = []
  const refused: string[] = []
  for (let turn = 0; !signal.aborted; turn++) {
    const wish = wishes[turn % wishes.length] as DrillWish
    const next = performance.now() + everyMs
    try {
      reports.push(await runDrill(wish, portsOf(context, signal)))
    } catch (error) {
      // What stands against one fault may not stand against the next; what ended before its fault says nothing.
      if (!(error instanceof HoldfastError)) throw error
      if (error.code !== 'REFUSED_NOT_CONFIRMED') refused.push(`${wish.fault}: ${error.message}`)
      if (error.code !== 'REFUSED_NOT_CONFIRMED') context.say(`  ${wish.fault} was not injected: ${error.message}`)
    }
    await delay(Math.max(0, next - performance.now()), undefined, { signal }).catch(() => {})
  }
  return { reports, refused }
}

function verdictOf(context: Context, { reports, refused }: Drilled, code: number, json: boolean): number {
  const broken = reports.filter(({ verdict }) => !verdict.kept)
  if (json) context.out(JSON.stringify({ apiVersion: 1, command: { exit: code }, refused, reports }))
  else for (const report of broken) context.out(`${renderReport(report)}\n`)
  for (const { fault, verdict } of reports)
    context.say(`${verdict.kept ? 'kept' : 'BROKEN'}  ${fault}: ${verdict.because}`)
  if (reports.length === 0) context.say('no fault was injected while the command ran: this proves nothing')
  if (code !== 0) context.say(`the command ended with ${code}`)
  if (code !== 0) return code
  if (broken.length === 0) return 0
  context.say('(DRILL_FAILED)')
  return errorTable.DRILL_FAILED.exit
}
