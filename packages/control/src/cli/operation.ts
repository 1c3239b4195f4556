import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Operation, OperationPreview, OperationWish, SpecText } from '@holdfast/core'
import {
  bytes,
  duration,
  formatDuration,
  formatInstant,
  HoldfastError,
  isUnfinished,
  moveTermsDefault,
  parseSpec,
  parseWhen,
} from '@holdfast/core'
import { savedNames } from '../wire.ts'
import type { Api } from './api.ts'
import { confirm } from './ask.ts'
import { condense, shapeOf } from './condense.ts'
import { chooseAmong, runningApi, statusOnceSeen, withApi } from './connect.ts'
import type { Context } from './context.ts'
import { kindOf, linesOf, weightOf } from './rebalance.ts'

export interface OperationOptions {
  readonly at?: string
  readonly wait?: boolean
  readonly json?: boolean
  readonly yes?: boolean
}

const askEveryMs = 100

const questions: Readonly<Record<OperationWish['kind'], string>> = {
  switchover: 'Hand over as shown?',
  restart: 'Restart as shown?',
  upgrade: 'Upgrade as shown?',
  replace: 'Replace as shown?',
  rotate: 'Rotate as shown?',
  rebalance: 'Move the slots as shown?',
  scale: 'Scale as shown?',
}

/** `holdfast switchover NAME SHARD`: shows who hands over to whom, asks, and waits until it is done. */
export function switchover(
  context: Context,
  name: string,
  subject: string,
  options: OperationOptions & { readonly to?: string },
): Promise<void> {
  return operate(context, name, { kind: 'switchover', subject, to: options.to ?? null }, options)
}

/** `holdfast restart NAME [NODE|SHARD]`: shows the order, asks, and waits until it is done. */
export function restart(
  context: Context,
  name: string,
  subject: string | undefined,
  options: OperationOptions & { readonly surge?: boolean },
): Promise<void> {
  const { surge = false } = options
  return operate(context, name, { kind: 'restart', subject: subject ?? name, surge }, options)
}

/** `holdfast replace NAME NODE`: shows who comes and who goes, asks, and waits until the old one is forgotten. */
export function replace(context: Context, name: string, node: string, options: OperationOptions): Promise<void> {
  return operate(context, name, { kind: 'replace', subject: node }, options)
}

/** `holdfast rotate NAME`: another password, both valid for a while, and the old one gone in the end. */
export function rotate(
  context: Context,
  name: string,
  { user, grace = '10m', closeAll = false, ...options }: OperationOptions & RotateOptions,
): Promise<void> {
  const graceMs = graceOf(grace)
  return withActing(context, name, options, async (api, chosen) => {
    const users = user ?? (await api.status(chosen)).users
    const closes = closeAll ? 'all' : 'older'
    const wish = { kind: 'rotate', id: randomUUID(), subject: chosen, users, graceMs, closes } as const
    return askFor(context, api, chosen, wish, options)
  })
}

/** `holdfast rebalance NAME`: shows what moves where, asks, and tells how far it is. */
export function rebalance(
  context: Context,
  name: string,
  { by = 'slots', weight = [], rate, keyMax, classic = false, ...options }: OperationOptions & RebalanceOptions,
): Promise<void> {
  const terms = {
    mover: classic ? 'classic' : moveTermsDefault.mover,
    bytesPerSecond: rate === undefined ? moveTermsDefault.bytesPerSecond : sizeOf(rate, '--rate'),
    keyBytesMax: keyMax === undefined ? moveTermsDefault.keyBytesMax : sizeOf(keyMax, '--key-max'),
  } as const
  const shares = { by: kindOf(by), weights: new Map(weight.map(weightOf)) }
  return withActing(context, name, options, async (api, chosen) => {
    const notBefore = await timeOf(options.at, api, chosen)
    const lines = linesOf(await api.previewRebalance(chosen, shares))
    sayWhen(context, notBefore)
    await show(context, { lines, objection: null }, questions.rebalance, options)
    const weights = Object.fromEntries(shares.weights)
    const wish = { kind: 'rebalance', id: randomUUID(), subject: chosen, by: shares.by, weights, terms } as const
    return api.askOperation(chosen, { ...wish, notBefore })
  })
}

interface RebalanceOptions {
  readonly by?: string
  readonly weight?: readonly string[]
  readonly rate?: string
  readonly keyMax?: string
  readonly classic?: boolean
}

function sizeOf(text: string, option: string): number {
  const parsed = bytes.safeParse(text)
  if (parsed.success && parsed.data > 0) return parsed.data
  throw new HoldfastError('USAGE', `${option} ${text}: a size, such as 64mb`)
}

interface RotateOptions {
  readonly user?: readonly string[]
  readonly grace?: string
  readonly closeAll?: boolean
}

function graceOf(text: string): number {
  const parsed = duration.safeParse(text)
  if (parsed.success) return parsed.data
  throw new HoldfastError('USAGE', `--grace ${text}: how long the old password stays valid, such as 10m, or 0s`)
}

/** `holdfast upgrade NAME`: finds the engine first, shows the order, asks, and waits until every engine is another one. */
export function upgrade(
  context: Context,
  name: string,
  {
    to,
    flavor,
    path,
    surge = false,
    ...options
  }: OperationOptions & { to?: string; flavor?: string; path?: string; surge?: boolean },
): Promise<void> {
  return withActing(context, name, options, async (api, chosen) => {
    const before = (await api.spec(chosen)).spec['engine'] as SpecText | undefined
    const engine =
      path === undefined ? { flavor: flavor ?? before?.['flavor'] ?? 'auto', version: to ?? null } : { path }
    const notBefore = await timeOf(options.at, api, chosen)
    const preview = await api.previewUpgrade(chosen, engine)
    sayWhen(context, notBefore)
    await show(context, preview, questions.upgrade, options)
    return api.upgrade(chosen, { id: randomUUID(), engine, surge, notBefore })
  })
}

/** Shows what an operation would do, asks, and waits until it is over. */
export function operate(
  context: Context,
  name: string,
  wanted: Omit<OperationWish, 'id' | 'notBefore'>,
  options: OperationOptions,
): Promise<void> {
  return withActing(context, name, options, (api, chosen) =>
    askFor(context, api, chosen, { ...wanted, id: randomUUID() }, options),
  )
}

async function askFor(
  context: Context,
  api: Api,
  name: string,
  wish: OperationWish,
  options: OperationOptions,
): Promise<Operation> {
  const notBefore = await timeOf(options.at, api, name)
  const preview = await api.previewOperation(name, wish)
  sayWhen(context, notBefore)
  await show(context, preview, questions[wish.kind], options)
  return api.askOperation(name, { ...wish, notBefore })
}

async function timeOf(at: string | undefined, api: Api, name: string): Promise<number | null> {
  if (at === undefined) return null
  const { maintenanceWindow } = parseSpec((await api.spec(name)).spec)
  return parseWhen(at, Date.now(), maintenanceWindow)
}

function sayWhen(context: Context, notBefore: number | null): void {
  if (notBefore === null) return
  context.say(`not before ${formatInstant(notBefore)}, in ${formatDuration(notBefore - Date.now())}:`)
}

async function show(context: Context, preview: OperationPreview, question: string, { yes = false }: OperationOptions) {
  if (preview.objection !== null) throw new HoldfastError('REFUSED_UNSAFE', preview.objection)
  for (const line of preview.lines) context.say(line)
  await confirm(context, question, yes)
}

/** Asks for something of a controller that acts, and tells how it goes. */
async function withActing(
  context: Context,
  name: string,
  { at, wait: wanted = true, json = false }: OperationOptions,
  ask: (api: Api, chosen: string) => Promise<Operation>,
): Promise<void> {
  // Nobody sits there until two in the morning.
  const wait = wanted && at === undefined
  const names = (await runningApi(context)?.names()) ?? (await savedNames(context.home))
  const chosen = chooseAmong(names, name)
  await withApi(context, { acts: true, on: chosen }, async (api, isBorrowed) => {
    if (isBorrowed && !wait) {
      throw new HoldfastError(
        'UNREACHABLE_CONTROLLER',
        at === undefined
          ? 'no controller runs, so nobody would do it: leave out --no-wait'
          : 'no controller runs, so nobody would do it at that time: "holdfast serve" starts one',
      )
    }
    await statusOnceSeen(api, chosen)
    const asked = await ask(api, chosen)
    const seen = wait ? await follow(context, api, chosen, asked) : asked
    context.out(json ? JSON.stringify(seen, null, 2) : wait ? seen.because : `${seen.id}: ${seen.because}`)
  })
}

/** Tells each new sentence until it is over. Throws OPERATION_STOPPED where it ended before its end. */
export async function follow(context: Context, api: Api, name: string, asked: Operation): Promise<Operation> {
  let told = ''
  for (;;) {
    const status = await api.status(name)
    const now = status.operations.find(({ id }) => id === asked.id) ?? asked
    if (!isUnfinished(now)) {
      if (now.state === 'done') return now
      throw new HoldfastError('OPERATION_STOPPED', now.because, { name, operation: now.id, state: now.state })
    }
    const because = condense(now.state === 'running' ? status.because : now.because)
    if (shapeOf(because) !== told) context.say(`  ${because}`)
    told = shapeOf(because)
    await delay(askEveryMs)
  }
}
