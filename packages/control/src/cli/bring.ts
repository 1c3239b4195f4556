import { describeSize, HoldfastError } from '@holdfast/core'
import { engineWorld, findEngine } from '../binary/find.ts'
import type { Api } from './api.ts'
import type { Context } from './context.ts'
import type { Wish } from './spec.ts'
import { linesOf, needsRestart } from './spec.ts'
import { isDown, isReadyAt, isServing, refuseFailedStarts, until } from './until.ts'

const readyWithinMs = 60_000

/** One deployment to bring up, as all its steps know it. */
export interface Errand {
  readonly context: Context
  readonly wish: Wish
  /** Whether the wish may differ from what is saved: a file says how it should be, no file means "as it is". */
  readonly isEdit: boolean
  readonly acceptDataLoss: boolean
  readonly startedAt: number
}

/** Which engine it will be; found here, so that what takes long is seen. */
export async function announceEngine({ home, say }: Context, { spec }: Wish): Promise<void> {
  const world = engineWorld(home.path, say)
  const { flavor, version, source, server } = await findEngine(spec.engine, world)
  const where = {
    spec: 'named by the spec',
    path: 'on the PATH',
    cache: 'kept from before',
    fetched: 'fetched now',
    built: 'built now',
  }
  say(`engine: ${flavor} ${version}, ${where[source]}: ${server}`)
}

/** Saves what is wanted, and waits until it is so. */
export async function bring(errand: Errand, api: Api, signal?: AbortSignal): Promise<void> {
  const { context, wish, isEdit, acceptDataLoss } = errand
  const { name } = wish.spec
  const exists = (await api.names()).includes(name)
  let waitsForRestart = false
  if (!exists) {
    await api.apply(name, wish.text, 0)
  } else {
    if (isEdit) waitsForRestart = await edit(context, api, wish)
    await api.setWanted(name, 'up', { acceptDataLoss })
  }
  context.say(`bringing up ${name}: ${describeSize(wish.spec)}`)
  const { revision } = await api.spec(name)
  const waiting = {
    isThere: waitsForRestart ? isServing() : isReadyAt(revision),
    withinMs: readyWithinMs,
    check: refuseFailedStarts,
  }
  try {
    await until(context, api, name, signal === undefined ? waiting : { ...waiting, signal })
  } catch (error) {
    throw asFailedStart(error, name, exists)
  }
}

/** Answers whether a part of it waits for a restart, which is not waited for here: it may be days away. */
async function edit({ say }: Context, api: Api, { text, spec }: Wish): Promise<boolean> {
  const preview = await api.plan(text)
  if (preview.changes.length === 0) return false
  for (const line of linesOf(preview)) say(line)
  await api.apply(spec.name, text, (await api.spec(spec.name)).revision)
  return needsRestart(preview)
}

/** The same, with what to do about it: a deployment that never ran is best made anew, another one is worth mending. */
function asFailedStart(error: unknown, name: string, exists: boolean): unknown {
  if (!(error instanceof HoldfastError) || error.code !== 'ENGINE_START_FAILED') return error
  const remedy = exists
    ? `Mend what it says; Holdfast tries again by itself while a controller runs. See "holdfast status ${name}".`
    : `${name} is defined and not up: correct the spec, remove this attempt with "holdfast down ${name} --purge", and bring it up again.`
  return new HoldfastError(error.code, `${error.message}\n${remedy}`, error.facts, error)
}

/**
 * In the foreground there is a controller that goes on trying: what takes long is said, and waited for. Only a new
 * deployment whose engines refuse to start is given up, since trying again would change nothing.
 */
export async function bringPatiently(errand: Errand, api: Api, signal: AbortSignal): Promise<void> {
  const { context, wish } = errand
  const { name } = wish.spec
  const existed = (await api.names()).includes(name)
  try {
    await bring(errand, api, signal)
  } catch (error) {
    const isPatience =
      error instanceof HoldfastError && ['TIMEOUT_NOT_READY', 'ENGINE_START_FAILED'].includes(error.code)
    if (!isPatience) throw error
    if (error.code === 'ENGINE_START_FAILED' && !existed) {
      await api.setWanted(name, 'down')
      await until(context, api, name, { isThere: isDown, withinMs: readyWithinMs, signal })
      throw error
    }
    context.say(`${error.message}\nStill trying. Press Ctrl-C to stop it.`)
    const { revision } = await api.spec(name)
    await until(context, api, name, { isThere: isReadyAt(revision), signal })
  }
}
