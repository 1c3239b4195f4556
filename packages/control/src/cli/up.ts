import { existsSync } from 'node:fs'
import { defaultSpec, HoldfastError, parseSpec, refusedAdopted } from '@holdfast/core'
import { makeAdministrator, savedNames, savedSpecs, startController } from '../wire.ts'
import { Api } from './api.ts'
import { startInBackground } from './background.ts'
import type { Errand } from './bring.ts'
import { announceEngine, bring, bringPatiently } from './bring.ts'
import { runningApi } from './connect.ts'
import type { Context } from './context.ts'
import { Interrupts } from './interrupts.ts'
import { portOf } from './port.ts'
import { report, tellPassword } from './report.ts'
import type { Wish } from './spec.ts'
import { readChecked } from './spec.ts'
import { interruptedExit, takeDown } from './take-down.ts'

export interface UpOptions {
  readonly detach?: boolean
  readonly port?: string
  readonly acceptDataLoss?: boolean
  readonly hosts?: string
}

/**
 * `holdfast up [SPEC]`: from nothing to a ready deployment. In the foreground it keeps it up and takes it down again
 * when it is interrupted; with --detach, or where a controller runs already, it returns once the deployment is ready.
 */
export async function up(context: Context, spec: string | undefined, options: UpOptions): Promise<number> {
  const port = portOf(options.port)
  const startedAt = performance.now()
  const running = runningApi(context)
  const saved = running === undefined ? await savedSpecs(context.home) : await specsOf(running)
  if (spec !== undefined && !existsSync(spec) && !saved.has(spec)) await refuseAdopted(context, running, spec)
  const { wish: asked, isEdit } = wishFor(spec, saved)
  const wish = options.hosts === undefined ? asked : await onHosts(asked, options.hosts, running)
  if (!saved.has(wish.spec.name)) await refuseAdopted(context, running, wish.spec.name)
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

/** A file, the name of a deployment that exists, or nothing: the deployment that everybody begins with. */
function wishFor(asked: string | undefined, saved: ReadonlyMap<string, Wish['text']>): { wish: Wish; isEdit: boolean } {
  const isName = asked === undefined || (!existsSync(asked) && saved.has(asked))
  if (!isName) return { wish: readChecked(asked), isEdit: true }
  const text = saved.get(asked ?? String(defaultSpec['name'])) ?? defaultSpec
  return { wish: { text, spec: parseSpec(text) }, isEdit: false }
}

/** The same on these hosts, with the addresses and zones by which they have joined. */
async function onHosts({ text, spec }: Wish, names: string, api: Api | undefined): Promise<Wish> {
  if (api === undefined) {
    throw new HoldfastError(
      'USAGE',
      '--hosts: hosts join a controller that runs: "holdfast serve --address ADDRESS" here first',
    )
  }
  if (spec.hosts.length > 0)
    throw new HoldfastError('USAGE', `--hosts: the spec of ${spec.name} names its hosts itself`)
  const joined = await api.hosts()
  const hosts = names.split(',').map((name) => {
    const host = joined.find((one) => one.name === name.trim())
    if (host === undefined) {
      const known = joined.map((one) => one.name).join(', ') || 'none'
      throw new HoldfastError('NOT_FOUND', `--hosts: ${name.trim()} has not joined; joined are: ${known}`)
    }
    return { name: host.name, address: host.address, ...(host.zone === '' ? {} : { zone: host.zone }) }
  })
  const placed = { ...text, hosts }
  return { text: placed, spec: parseSpec(placed) }
}

async function refuseAdopted({ home }: Context, api: Api | undefined, name: string): Promise<void> {
  const names = api === undefined ? await savedNames(home) : await api.adoptedNames()
  if (names.includes(name)) throw refusedAdopted(name)
}

async function specsOf(api: Api): Promise<ReadonlyMap<string, Wish['text']>> {
  const [all, adopted] = await Promise.all([api.names(), api.adoptedNames()])
  const names = all.filter((name) => !adopted.includes(name))
  return new Map(await Promise.all(names.map(async (name) => [name, (await api.spec(name)).spec] as const)))
}
