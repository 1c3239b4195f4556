import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Operation, OperationWish } from '@holdfast/core'
import { HoldfastError, isUnfinished } from '@holdfast/core'
import { savedSpecs } from '../wire.ts'
import type { Api } from './api.ts'
import { confirm } from './ask.ts'
import { condense, shapeOf } from './condense.ts'
import { chooseAmong, runningApi, statusOnceSeen, withApi } from './connect.ts'
import type { Context } from './context.ts'

export interface OperationOptions {
  readonly at?: string
  readonly wait?: boolean
  readonly json?: boolean
  readonly yes?: boolean
}

const askEveryMs = 100

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
  options: OperationOptions,
): Promise<void> {
  return operate(context, name, { kind: 'restart', subject: subject ?? name }, options)
}

async function operate(
  context: Context,
  name: string,
  wanted: Omit<OperationWish, 'id' | 'notBefore'>,
  { at, wait = true, json = false, yes = false }: OperationOptions,
): Promise<void> {
  const wish: OperationWish = { ...wanted, id: randomUUID(), notBefore: timeOf(at) }
  const names = (await runningApi(context)?.names()) ?? [...savedSpecs(context.home).keys()]
  const chosen = chooseAmong(names, name)
  await withApi(context, { acts: true, on: chosen }, async (api, isBorrowed) => {
    if (isBorrowed && !wait) {
      throw new HoldfastError(
        'UNREACHABLE_CONTROLLER',
        'no controller runs, so nobody would do it: leave out --no-wait',
      )
    }
    await statusOnceSeen(api, chosen)
    const { lines, objection } = await api.previewOperation(chosen, wish)
    if (objection !== null) throw new HoldfastError('REFUSED_UNSAFE', objection, { name: chosen, ...wanted })
    for (const line of lines) context.say(line)
    await confirm(context, `${wish.kind === 'restart' ? 'Restart' : 'Hand over'} as shown?`, yes)
    const asked = await api.askOperation(chosen, wish)
    const seen = wait ? await follow(context, api, chosen, asked) : asked
    context.out(json ? JSON.stringify(seen, null, 2) : wait ? seen.because : `${seen.id}: ${seen.because}`)
  })
}

/** Tells each new sentence until it is over. Throws OPERATION_STOPPED where it ended before its end. */
async function follow(context: Context, api: Api, name: string, asked: Operation): Promise<Operation> {
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

function timeOf(at: string | undefined): number | null {
  if (at === undefined) return null
  const time = Date.parse(at)
  if (Number.isFinite(time)) return time
  throw new HoldfastError('USAGE', `--at ${at}: a time such as 2027-01-31T02:00Z`)
}
