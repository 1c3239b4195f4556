import { randomBytes, randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import type { BackupListed, Operation } from '@holdfast/core'
import { formatBytes, HoldfastError } from '@holdfast/core'
import { savedNames } from '../wire.ts'
import type { Api } from './api.ts'
import { confirm } from './ask.ts'
import { chooseAmong, chooseName, runningApi, statusOnceSeen, withApi } from './connect.ts'
import type { Context } from './context.ts'
import { follow } from './operation.ts'
import { table } from './table.ts'

export interface BackupOptions {
  readonly controller?: boolean
  readonly to?: string
  readonly wait?: boolean
  readonly json?: boolean
}

/** `holdfast backup NAME`: a snapshot of every shard, checked by loading it; waits until that is done. */
export async function backup(context: Context, name: string | undefined, options: BackupOptions): Promise<void> {
  const { to, wait = true, json = false, controller = false } = options
  if (controller) return (await import('./controller-copy.ts')).backupController(context, name, to)
  const chosen = await choose(context, name)
  await withApi(context, { acts: true, on: chosen }, async (api, isBorrowed) => {
    refuseNobody(isBorrowed, wait)
    await statusOnceSeen(api, chosen)
    const asked = await api.askBackup(chosen, { id: newId(), to: to === undefined ? null : resolve(to) })
    await tellEnd(context, api, chosen, asked, { wait, json })
  })
}

/** `holdfast backups NAME`: what there is, the newest first. */
export async function backups(
  context: Context,
  name: string | undefined,
  { json = false }: { readonly json?: boolean },
): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    const shelf = await api.backups(await chooseName(api, name))
    if (json) return context.out(JSON.stringify(shelf, null, 2))
    const { at, directory, elsewhere } = shelf
    const where = at === null ? directory : `${directory} on ${at}, the machine of this controller`
    if (shelf.backups.length === 0) context.say(`no backup in ${where}`)
    else {
      context.out(table([['BACKUP', 'TAKEN', 'STATE', 'SIZE', 'KEYS', 'BECAUSE'], ...shelf.backups.map(rowOf)]))
      context.say(`in ${where}`)
    }
    for (const one of elsewhere)
      context.say(`${one.id} is in ${one.directory} on ${one.at}, whose controller has taken it`)
    if (at !== null && shelf.backups.length + elsewhere.length === 0)
      context.say('where there are several controllers, each has those that it has taken: ask the others, too')
  })
}

export interface RestoreOptions {
  readonly controller?: boolean
  readonly from: string
  readonly replace?: string
  readonly wait?: boolean
  readonly json?: boolean
  readonly yes?: boolean
}

/** `holdfast restore NAME --from DIRECTORY`: a deployment that does not exist is made as the backup says it was. */
export async function restore(context: Context, named: string | undefined, options: RestoreOptions): Promise<void> {
  const { replace = null, wait = true, json = false, yes = false, controller = false } = options
  const from = resolve(options.from)
  if (controller) return (await import('./controller-copy.ts')).restoreController(context, named, from)
  if (named === undefined) throw new HoldfastError('USAGE', 'which deployment? Name the one that shall be restored')
  const name = named
  await withApi(context, { acts: true, on: name }, async (api, isBorrowed) => {
    refuseNobody(isBorrowed, wait)
    const isNew = !(await api.names()).includes(name)
    if (isNew) await make(context, api, name, from, yes)
    await statusOnceSeen(api, name)
    const { lines, replaces } = await api.previewRestore(name, from)
    for (const line of lines) context.say(line)
    // The name that is typed is the answer: asking once more would only teach to say yes.
    if (!isNew && !(replaces && replace === name)) await confirmUnlessRefused(context, name, replaces, yes)
    const asked = await api.askRestore(name, { id: randomUUID(), from, replace })
    await tellEnd(context, api, name, asked, { wait, json })
  })
}

/** What holds data is refused by the controller, with the way to say it. */
async function confirmUnlessRefused(context: Context, name: string, replaces: boolean, yes: boolean): Promise<void> {
  if (!replaces) await confirm(context, `Restore ${name} from it?`, yes)
}

/** A deployment of the shape that the backup was taken from, under the name that was asked for. */
async function make(context: Context, api: Api, name: string, from: string, yes: boolean): Promise<void> {
  const { manifest } = await api.readBackup(from)
  const spec = { ...manifest.spec, name }
  await confirm(
    context,
    `There is no ${name}. Make it as ${manifest.deployment} was, and restore it from ${from}?`,
    yes,
  )
  try {
    await api.apply(name, spec, 0)
  } catch (error) {
    // Its ports are in use, or a host of it has not joined here.
    if (!(error instanceof HoldfastError) || !['HOST_PORT_IN_USE', 'NOT_FOUND'].includes(error.code)) throw error
    throw new HoldfastError(
      error.code,
      `${error.message}. Bring ${name} up from a spec of its own ("holdfast up ${name}.yaml -d"), and restore into it then.`,
      error.facts,
      error,
    )
  }
}

async function choose(context: Context, name: string | undefined): Promise<string> {
  const names = (await runningApi(context)?.names()) ?? (await savedNames(context.home))
  return chooseAmong(names, name)
}

function refuseNobody(isBorrowed: boolean, wait: boolean): void {
  if (!isBorrowed || wait) return
  throw new HoldfastError('UNREACHABLE_CONTROLLER', 'no controller runs, so nobody would do it: leave out --no-wait')
}

async function tellEnd(
  context: Context,
  api: Api,
  name: string,
  asked: Operation,
  { wait, json }: { wait: boolean; json: boolean },
): Promise<void> {
  const seen = wait ? await follow(context, api, name, asked) : asked
  context.out(json ? JSON.stringify(seen, null, 2) : wait ? seen.because : `${seen.id}: ${seen.because}`)
}

/** Sorts by time, and is a name for a directory. */
function newId(): string {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  return `${time}-${randomBytes(2).toString('hex')}`
}

const rowOf = ({ id, finishedAt, state, bytes, keys, because }: BackupListed): string[] => [
  id,
  finishedAt === null ? '' : new Date(finishedAt).toISOString(),
  state,
  bytes === null ? '' : formatBytes(bytes),
  keys === null ? '' : String(keys),
  state === 'verified' ? '' : because,
]
