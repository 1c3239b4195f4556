import type { Spec, Status } from '@holdfast/core'
import { accessTo, durableLimit, formatDuration, layOut, misplacedIn, urlFor } from '@holdfast/core'
import { backupDirectory } from '../store/backup-directory.ts'
import type { Home } from '../store/home.ts'
import { adminName } from '../wire.ts'
import type { Api } from './api.ts'
import type { Errand } from './bring.ts'
import type { Context } from './context.ts'

/** What to type: in a clone, npm knows where the program is and the shell does not. */
const program = process.env['npm_execpath'] === undefined ? 'holdfast' : 'npx holdfast'

/** What somebody wants to know of a deployment that has just come up. */
export async function report(
  { context, wish, startedAt }: Errand,
  api: Api,
  newPassword: string | undefined,
): Promise<void> {
  const { name } = wish.spec
  const [status, credentials] = await Promise.all([api.status(name), api.credentials(name)])
  const url = urlFor('holdfast', accessTo(status, credentials), { showSecret: false })
  const primary = status.nodes.find(({ role }) => role === 'primary')
  context.out(
    [
      '',
      `${name} is ready after ${formatDuration(performance.now() - startedAt)}: ${status.because}`,
      ...engineLines(status),
      `  panel    ${api.url}`,
      ...signInLines(newPassword),
      `  connect  ${url}`,
      `           ${program} url ${name} --as ioredis --show-secret`,
      ...proxyLines(status),
      ...backupLines(context.home, wish.spec),
      '',
      ...warnings(status, wish.spec),
      '',
      'Try next:',
      `  ${program} status ${name}`,
      `  ${program} cli ${name} -- set greeting hello`,
      `  kill -9 ${primary?.pid ?? 'PID'}    # a primary; then: ${program} events ${name}`,
    ].join('\n'),
  )
}

const proxyLines = ({ name, proxy }: Status): string[] => {
  if (proxy === null) return []
  const replicas = proxy.replicaPort === null ? '' : `, and to the replicas at ${proxy.host}:${proxy.replicaPort}`
  return [
    `  proxy    ${proxy.host}:${proxy.port} always leads to the primary${replicas}`,
    `           ${program} url ${name} --proxy --as redis-cli --show-secret`,
  ]
}

/** Where backups go by themselves, before the first of them is due. */
function backupLines(home: Home, { name, backup, hosts }: Spec): string[] {
  if (backup === 'off') return []
  const directory = backupDirectory(home, name, backup)
  const where = hosts.length === 0 ? directory : `${directory} of the machine of the controller`
  return [`  backup   every ${formatDuration(backup.every)} into ${where}, the newest ${backup.keep} are kept`]
}

/** What it does not protect from, so that nobody learns it from a loss. */
function warnings({ topology, lossWindow, proxy }: Status, spec: Spec): string[] {
  const limit = durableLimit(spec)
  if (limit !== null) return [`Durability durable ${limit}.`, `What a fault may cost: ${lossWindow}.`]
  const gap =
    proxy === null
      ? []
      : ['There is one proxy: while it is started again, nobody gets in by it, and its connections end.']
  if (topology !== 'standalone') {
    return [...(spec.hosts.length > 1 ? misplacedAtFirst(spec) : [oneMachine]), ...gap]
  }
  return [
    ...gap,
    'One engine protects from nothing: while it is away, nobody answers in its place. Its process is started again.',
    `What a fault may cost: ${lossWindow}.`,
  ]
}

const oneMachine = 'One machine protects from the death of a process, not from the death of the machine.'

/** What the loss of a host would cost more than it must, as the layout is at first. */
const misplacedAtFirst = (spec: Spec): string[] => misplacedIn(layOut(spec), spec).map((line) => `Placement: ${line}.`)

export const engineLines = ({ engine }: Status): string[] =>
  engine === null ? [] : [`  engine   ${engine.flavor} ${engine.version}, ${engine.path}`]

export const signInLines = (newPassword: string | undefined): string[] =>
  newPassword === undefined
    ? [`  sign in  ${adminName}, with the password of the first start ("holdfast password" makes another)`]
    : [`  sign in  ${adminName} / ${newPassword}`, '           This password is shown once and kept only as a hash.']

/** Where it could not be told with the rest: it is kept nowhere, so it would be lost. */
export function tellPassword({ say }: Context, newPassword: string | undefined): void {
  if (newPassword !== undefined) say(`panel sign-in: ${adminName} / ${newPassword} (shown once, kept only as a hash)`)
}
