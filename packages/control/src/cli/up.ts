import { existsSync } from 'node:fs'
import { defaultSpec, formatDuration, HoldfastError, nodeCountOf, parseSpec, urlFor } from '@holdfast/core'
import { findEngine } from '../binary/find.ts'
import { adminName, makeAdministrator, savedSpecs, startController } from '../wire.ts'
import { Api } from './api.ts'
import { startInBackground } from './background.ts'
import { runningApi } from './connect.ts'
import type { Context } from './context.ts'
import { Interrupts } from './interrupts.ts'
import { portOf } from './port.ts'
import type { Wish } from './spec.ts'
import { linesOf, readChecked } from './spec.ts'
import { isDown, isReadyAt, refuseFailedStarts, until } from './until.ts'

/** What to type: in a clone, npm knows where the program is and the shell does not. */
const program = process.env['npm_execpath'] === undefined ? 'holdfast' : 'npx holdfast'
const readyWithinMs = 60_000
/** What a shell answers for a program that Ctrl-C ended. */
const interruptedExit = 130

export interface UpOptions {
  readonly detach?: boolean
  readonly port?: string
  readonly acceptDataLoss?: boolean
}

/** One `up`, as all its steps know it. */
interface Errand {
  readonly context: Context
  readonly wish: Wish
  /** Whether the wish may differ from what is saved: a file says how it should be, no file means "as it is". */
  readonly isEdit: boolean
  readonly acceptDataLoss: boolean
  readonly startedAt: number
}

/**
 * `holdfast up [SPEC]`: from nothing to a ready deployment. In the foreground it keeps it up and takes it down again
 * when it is interrupted; with --detach, or where a controller runs already, it returns once the deployment is ready.
 */
export async function up(context: Context, spec: string | undefined, options: UpOptions): Promise<number> {
  const port = portOf(options.port)
  const startedAt = performance.now()
  const running = runningApi(context)
  const saved = running === undefined ? savedSpecs(context.home) : await specsOf(running)
  const { wish, isEdit } = wishFor(spec, saved)
  const errand = { context, wish, isEdit, acceptDataLoss: options.acceptDataLoss === true, startedAt }
  // Found here, so that what takes long is seen, also when the controller runs in the background; and before a
  // controller is started that could do nothing without it.
  if (running === undefined || !saved.has(wish.spec.name)) await announceEngine(context, wish)
  if (running !== undefined) {
    context.say(`the controller at ${running.url} keeps this home already: it gets the work`)
    await bring(errand, running)
    await report(errand, running, undefined)
    return 0
  }
  return options.detach === true ? upInBackground(errand, port) : upInForeground(errand, port)
}

async function upInBackground(errand: Errand, port: number | undefined): Promise<number> {
  const { context, wish } = errand
  const { name } = wish.spec
  const interrupts = new Interrupts()
  let newPassword: string | undefined
  let isTold = false
  try {
    newPassword = await makeAdministrator(context.home)
    const { api, end } = await startInBackground(context, port)
    try {
      await bring(errand, api, interrupts.signal)
    } catch (error) {
      // Nothing was created, so there is nothing for it to keep.
      const isIdle = await api.names().then(
        (names) => names.length === 0,
        () => false,
      )
      if (isIdle && !interrupts.signal.aborted) await end()
      throw error
    }
    await report(errand, api, newPassword)
    isTold = true
    return 0
  } catch (error) {
    if (!interrupts.signal.aborted) throw error
    context.say(`${name} goes on coming up in the background: "holdfast status ${name}", or "holdfast down ${name}"`)
    return interruptedExit
  } finally {
    if (!isTold) tellPassword(context, newPassword)
    interrupts.close()
  }
}

async function upInForeground(errand: Errand, port: number | undefined): Promise<number> {
  const { context, wish } = errand
  const started = await startController({ home: context.home, progress: context.say, acts: true, port })
  const interrupts = new Interrupts()
  const api = new Api(started.url, started.token)
  let isTold = false
  try {
    await bringPatiently(errand, api, interrupts.signal)
    await report(errand, api, started.newPassword)
    isTold = true
    context.say('\nPress Ctrl-C to stop it. Its data is kept.')
    await interrupts.first()
    return await takeDown(context, api, wish.spec.name, interrupts)
  } catch (error) {
    if (!interrupts.signal.aborted) throw error
    return await takeDown(context, api, wish.spec.name, interrupts)
  } finally {
    if (!isTold) tellPassword(context, started.newPassword)
    await started.close()
    interrupts.close()
  }
}

/** `holdfast serve`: keeps everything of this home up until it is told to end. The engines run on. */
export async function serve(context: Context, { port }: { port?: string }): Promise<void> {
  const interrupts = new Interrupts()
  const started = await startController({ home: context.home, progress: context.say, acts: true, port: portOf(port) })
  tellPassword(context, started.newPassword)
  const names = started.controller.names()
  const what = names.length === 0 ? 'nothing yet' : names.join(', ')
  context.say(`controller ${process.pid} of ${context.home.path} keeps up ${what}; panel ${started.url}`)
  await interrupts.first()
  await started.close()
  interrupts.close()
}

/** A file, the name of a deployment that exists, or nothing: the deployment that everybody begins with. */
function wishFor(asked: string | undefined, saved: ReadonlyMap<string, Wish['text']>): { wish: Wish; isEdit: boolean } {
  const isName = asked === undefined || (!existsSync(asked) && saved.has(asked))
  if (!isName) return { wish: readChecked(asked), isEdit: true }
  const text = saved.get(asked ?? String(defaultSpec['name'])) ?? defaultSpec
  return { wish: { text, spec: parseSpec(text) }, isEdit: false }
}

async function specsOf(api: Api): Promise<ReadonlyMap<string, Wish['text']>> {
  const names = await api.names()
  return new Map(await Promise.all(names.map(async (name) => [name, (await api.spec(name)).spec] as const)))
}

async function announceEngine({ home, say }: Context, { spec }: Wish): Promise<void> {
  const world = { home: home.path, path: process.env['PATH'] ?? '', progress: say }
  const { flavor, version, source, server } = await findEngine(spec.engine, world)
  const where = { spec: 'named by the spec', path: 'on the PATH', cache: 'fetched before', fetched: 'fetched now' }
  say(`engine: ${flavor} ${version}, ${where[source]}: ${server}`)
}

/** Saves what is wanted, and waits until it is so. */
async function bring(errand: Errand, api: Api, signal?: AbortSignal): Promise<void> {
  const { context, wish, isEdit, acceptDataLoss } = errand
  const { name } = wish.spec
  const exists = (await api.names()).includes(name)
  if (!exists) {
    await api.apply(name, wish.text, 0)
  } else {
    if (isEdit) await edit(context, api, wish)
    await api.setWanted(name, 'up', { acceptDataLoss })
  }
  context.say(`bringing up ${name}: ${wish.spec.shards} shards, ${nodeCountOf(wish.spec)} nodes`)
  const { revision } = await api.spec(name)
  const waiting = { isThere: isReadyAt(revision), withinMs: readyWithinMs, check: refuseFailedStarts }
  try {
    await until(context, api, name, signal === undefined ? waiting : { ...waiting, signal })
  } catch (error) {
    throw asFailedStart(error, name, exists)
  }
}

async function edit({ say }: Context, api: Api, { text, spec }: Wish): Promise<void> {
  const preview = await api.plan(text)
  if (preview.changes.length === 0) return
  for (const line of linesOf(preview)) say(line)
  await api.apply(spec.name, text, (await api.spec(spec.name)).revision)
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
async function bringPatiently(errand: Errand, api: Api, signal: AbortSignal): Promise<void> {
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

async function report({ context, wish, startedAt }: Errand, api: Api, newPassword: string | undefined): Promise<void> {
  const { name } = wish.spec
  const [status, { user, password }] = await Promise.all([api.status(name), api.credentials(name)])
  const nodes = status.nodes.map(({ host, port }) => ({ address: host, port }))
  const url = urlFor('holdfast', { nodes, user, password }, { showSecret: false })
  const { engine } = status
  const primary = status.nodes.find(({ role }) => role === 'primary')
  context.out(
    [
      '',
      `${name} is ready after ${formatDuration(performance.now() - startedAt)}: ${status.because}`,
      ...(engine === null ? [] : [`  engine   ${engine.flavor} ${engine.version}, ${engine.path}`]),
      `  panel    ${api.url}`,
      ...(newPassword === undefined
        ? [`  sign in  ${adminName}, with the password of the first start ("holdfast password" makes another)`]
        : [
            `  sign in  ${adminName} / ${newPassword}`,
            '           This password is shown once and kept only as a hash.',
          ]),
      `  connect  ${url}`,
      `           ${program} url ${name} --as ioredis --show-secret`,
      '',
      'One machine protects from the death of a process, not from the death of the machine.',
      '',
      'Try next:',
      `  ${program} status ${name}`,
      `  ${program} cli ${name} -- set greeting hello`,
      `  kill -9 ${primary?.pid ?? 'PID'}    # a primary; then: ${program} events ${name}`,
    ].join('\n'),
  )
}

/** Stops what the foreground kept up. An impatient second Ctrl-C leaves the engines running, as they are wanted again. */
async function takeDown(context: Context, api: Api, name: string, interrupts: Interrupts): Promise<number> {
  const { say } = context
  const names = await api.names()
  if (!names.includes(name)) return 0
  const status = await api.status(name).catch(() => undefined)
  if (status?.controller.lease === 'lost') {
    say(`another controller keeps ${name}: leaving it up`)
    return 0
  }
  say(`\nstopping ${name} (Ctrl-C again: leave its engines running)`)
  await api.setWanted(name, 'down')
  const stopped = until(context, api, name, { isThere: isDown, withinMs: readyWithinMs }).then(() => true)
  const isDone = await Promise.race([stopped, interrupts.second().then(() => false)])
  if (!isDone) {
    await api.setWanted(name, 'up')
    say(
      `engines of ${name} run on and nobody heals them: "holdfast up ${name}" carries on, "holdfast down ${name}" stops them`,
    )
    return interruptedExit
  }
  say(`${name} is down; its data is kept`)
  const others = names.filter((other) => other !== name)
  if (others.length > 0) say(`nobody heals ${others.join(', ')} now: "holdfast serve" does`)
  return 0
}

/** Where it could not be told with the rest: it is kept nowhere, so it would be lost. */
function tellPassword({ say }: Context, newPassword: string | undefined): void {
  if (newPassword !== undefined) say(`panel sign-in: ${adminName} / ${newPassword} (shown once, kept only as a hash)`)
}
