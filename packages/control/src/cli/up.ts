import { spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { SpecText } from '@holdfast/core'
import { defaultSpec, formatDuration, HoldfastError, nodeCountOf, parseSpec, urlFor } from '@holdfast/core'
import { findEngine } from '../binary/find.ts'
import type { RunningController } from '../wire.ts'
import { adminName, makeAdministrator, startController } from '../wire.ts'
import { Api } from './api.ts'
import { runningApi } from './connect.ts'
import type { Context } from './context.ts'
import { readChecked } from './spec.ts'
import { isDown, isReady, until } from './until.ts'

const readyWithinMs = 60_000
const controllerWithinMs = 20_000

export interface UpOptions {
  readonly detach?: boolean
  readonly port?: string
  readonly acceptDataLoss?: boolean
}

/**
 * `holdfast up [SPEC]`: from nothing to a ready deployment. In the foreground it keeps it up and takes it down again
 * when it is interrupted; with --detach, or where a controller runs already, it returns once the deployment is ready.
 */
export async function up(context: Context, file: string | undefined, options: UpOptions): Promise<void> {
  const text: SpecText = file === undefined ? defaultSpec : readChecked(file).text
  const spec = parseSpec(text)
  const startedAt = performance.now()
  const running = runningApi(context)
  if (running !== undefined) {
    await bring(context, running, text, options)
    return report(context, running, spec.name, startedAt, undefined)
  }
  // Found here, so that what takes long is seen, also when the controller then runs in the background.
  const binary = await findEngine(spec.engine, {
    home: context.home.path,
    path: process.env['PATH'] ?? '',
    progress: context.say,
  })
  context.say(`engine: ${binary.flavor} ${binary.version} (${binary.source}: ${binary.server})`)
  if (options.detach === true) {
    const newPassword = await makeAdministrator(context.home)
    const api = await serveInBackground(context, options.port)
    await bring(context, api, text, options)
    return report(context, api, spec.name, startedAt, newPassword)
  }
  const started = await startController({
    home: context.home,
    progress: context.say,
    acts: true,
    port: portOf(options.port),
  })
  const interrupted = new Promise<'interrupted'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve('interrupted'))
  })
  try {
    const api = new Api(started.url, started.token)
    const ready = bring(context, api, text, options).then(() =>
      report(context, api, spec.name, startedAt, started.newPassword),
    )
    if ((await Promise.race([ready, interrupted])) !== 'interrupted') {
      context.say('\nPress Ctrl-C to stop it. Its data is kept.')
      await interrupted
    }
    await takeDown(context, api, spec.name)
  } finally {
    await started.close()
  }
}

/** `holdfast serve`: keeps everything of this home up until it is told to end. The engines run on. */
export async function serve(context: Context, { port }: { port?: string }): Promise<void> {
  const started = await startController({ home: context.home, progress: context.say, acts: true, port: portOf(port) })
  tellPassword(context, started)
  context.say(`controller ${process.pid} keeps ${context.home.path}, panel ${started.url}`)
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  await started.close()
}

async function bring(context: Context, api: Api, text: SpecText, options: UpOptions): Promise<void> {
  const spec = parseSpec(text)
  const exists = (await api.names()).includes(spec.name)
  // Without a file "up" means the deployment as it is; only a file, or the first time, says how it should be.
  if (!exists || text !== defaultSpec) await api.apply(spec.name, text, null)
  if (exists) await api.setWanted(spec.name, 'up', { acceptDataLoss: options.acceptDataLoss === true })
  context.say(`bringing up ${spec.name}: ${spec.shards} shards, ${nodeCountOf(spec)} nodes`)
  await until(context, api, spec.name, isReady, readyWithinMs)
}

async function report(
  context: Context,
  api: Api,
  name: string,
  startedAt: number,
  newPassword: string | undefined,
): Promise<void> {
  const [status, { user, password }] = await Promise.all([api.status(name), api.credentials(name)])
  const nodes = status.nodes.map(({ host, port }) => ({ address: host, port }))
  const facts = { nodes, user, password }
  const { say } = context
  say('')
  say(`${name} is ready after ${formatDuration(performance.now() - startedAt)}: ${status.because}`)
  if (status.engine !== null) say(`  engine   ${status.engine.flavor} ${status.engine.version}, ${status.engine.path}`)
  say(`  panel    ${api.url}`)
  say(
    `  sign in  ${adminName} / ${newPassword ?? '(the password was shown at the first start; "holdfast password" makes another)'}`,
  )
  if (newPassword !== undefined) say('           This password is shown once and kept only as a hash.')
  say(`  connect  ${urlFor('holdfast', facts, { showSecret: false })}`)
  say(`           holdfast url ${name} --as ioredis --show-secret`)
  say('')
  say('One machine protects from the death of a process, not from the death of the machine.')
  say('')
  say('Try next:')
  say(`  holdfast status ${name}`)
  say(`  holdfast cli ${name} -- set greeting hello`)
  say(
    `  kill -9 ${status.nodes.find(({ role }) => role === 'primary')?.pid ?? 'PID'}    # then: holdfast events ${name}`,
  )
}

async function takeDown(context: Context, api: Api, name: string): Promise<void> {
  const status = await api.status(name).catch(() => undefined)
  if (status?.controller.lease === 'lost') return context.say(`another controller keeps ${name}: leaving it up`)
  if (!(await api.names()).includes(name)) return
  context.say(`\nstopping ${name} (again Ctrl-C: leave its engines running)`)
  const impatient = new Promise<void>((resolve) => process.once('SIGINT', () => resolve()))
  await api.setWanted(name, 'down')
  await Promise.race([until(context, api, name, isDown, readyWithinMs), impatient])
  context.say(`${name} is down; its data is kept`)
}

async function serveInBackground(context: Context, port: string | undefined): Promise<Api> {
  const main = fileURLToPath(new URL('../main.js', import.meta.url))
  const child = spawn(process.execPath, [main, 'serve', ...(port === undefined ? [] : ['--port', port])], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOLDFAST_HOME: context.home.path },
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const deadline = performance.now() + controllerWithinMs
  for (;;) {
    const api = runningApi(context)
    if (api !== undefined) {
      child.stderr.destroy()
      child.unref()
      return api
    }
    if (child.exitCode !== null || performance.now() > deadline) {
      throw new HoldfastError(
        'UNREACHABLE_CONTROLLER',
        `the controller did not start: ${said.trim() || 'it said nothing'}`,
      )
    }
    await delay(50)
  }
}

function tellPassword({ say }: Context, { newPassword }: Pick<RunningController, 'newPassword'>): void {
  if (newPassword !== undefined) say(`panel sign-in: ${adminName} / ${newPassword} (shown once, kept only as a hash)`)
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new HoldfastError('USAGE', `--port ${text}: a port is a number from 1 to 65535`)
}
