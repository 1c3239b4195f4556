import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Spec, SpecText, UserAccess } from '@holdfast/core'
import { accessByProxy, accessTo, clientNamed, HoldfastError, parseSpec, urlFor } from '@holdfast/core'
import { engineWorld, findEngine } from '../binary/find.ts'
import type { PlanPreview } from '../server/platform.ts'
import { readSpecFile } from '../store/read-spec.ts'
import type { Api } from './api.ts'
import { confirm } from './ask.ts'
import { awaitAnswers, chooseName, statusOnceSeen, withApi } from './connect.ts'
import type { Context } from './context.ts'
import { isReadyAt, refuseFailedStarts, until } from './until.ts'

/** `holdfast plan SPEC`: what apply would do, and with --config the text that every engine would get. */
export async function plan(
  context: Context,
  file: string,
  { config, json, by, weight }: { config?: boolean; json?: boolean; by?: string; weight?: readonly string[] },
): Promise<void> {
  if (by !== undefined || weight !== undefined) {
    throw new HoldfastError('USAGE', '--by and --weight say how slots are shared out: they go with --rebalance')
  }
  const { text, spec } = readChecked(file)
  await withApi(context, { acts: false }, async (api, isBorrowed) => {
    if (isBorrowed) await awaitAnswers(api, spec.name)
    const preview = await api.plan(text)
    if (json === true) return context.out(JSON.stringify(preview, null, 2))
    for (const line of linesOf(preview)) context.out(line)
    if (config !== true) return
    for (const [node, lines] of Object.entries(preview.files)) context.out(`\n## ${node}\n${lines}`)
  })
}

/** `holdfast apply SPEC`: shows the plan, asks, saves; the loop does the rest. */
export async function apply(
  context: Context,
  file: string,
  { yes, wait, acceptEviction = false }: { yes?: boolean; wait?: boolean; acceptEviction?: boolean },
): Promise<void> {
  const { text, spec } = readChecked(file)
  await withApi(context, { acts: false }, async (api, isBorrowed) => {
    if (wait === true && isBorrowed) {
      throw new HoldfastError(
        'UNREACHABLE_CONTROLLER',
        `no controller runs, so --wait would wait for ever, and nothing was saved: use "holdfast up ${file}" instead`,
      )
    }
    if (isBorrowed) await awaitAnswers(api, spec.name)
    const preview = await api.plan(text, { acceptEviction })
    for (const line of linesOf(preview)) context.say(line)
    if (preview.isNew || preview.changes.length > 0) {
      await confirm(context, `Apply this to ${spec.name}?`, yes === true)
      await save(context, api, { text, spec }, preview, acceptEviction)
      if (isBorrowed) context.say(`No controller runs: it takes effect with the next "holdfast up ${file}".`)
    }
    if (wait === true && restartWaits(preview, spec)) {
      context.say('The restart waits for the maintenance window, so it is not waited for here.')
    } else if (wait === true) {
      const { revision } = await api.spec(spec.name)
      await until(context, api, spec.name, {
        isThere: isReadyAt(revision),
        withinMs: needsRestart(preview) ? restartWithinMs : 60_000,
        check: refuseFailedStarts,
      })
      context.say(`${spec.name} is as specified`)
    }
  })
}

/** Saves what was shown, and only if nobody changed it since. */
async function save(
  { say }: Context,
  api: Api,
  { text }: Wish,
  { name, isNew }: PlanPreview,
  acceptEviction: boolean,
): Promise<void> {
  const base = isNew ? 0 : (await api.spec(name)).revision
  const { revision } = await api.apply(name, text, base, { acceptEviction })
  say(`${name}: revision ${revision} saved`)
}

/** A rolling restart hands every shard over and waits for every sync. */
const restartWithinMs = 600_000

export const needsRestart = ({ edits }: PlanPreview): boolean => edits.some(({ how }) => how === 'restart')

const restartWaits = (preview: PlanPreview, { maintenanceWindow }: Spec): boolean =>
  needsRestart(preview) && maintenanceWindow !== null

export const linesOf = ({ because, changes }: PlanPreview): string[] => [
  because,
  ...changes.map((change) => `  ${change}`),
]

export interface UrlOptions {
  readonly as: string
  readonly proxy?: boolean
  readonly user?: string
  readonly ca?: boolean
  readonly showSecret?: boolean
}

/** `holdfast url NAME`: what an unmodified client needs to connect. */
export async function url(
  context: Context,
  name: string | undefined,
  { as, proxy, user, ca, showSecret }: UrlOptions,
): Promise<void> {
  const client = clientNamed(as)
  await withApi(context, { acts: false }, async (api) => {
    const chosen = await chooseName(api, name)
    const [status, credentials] = await Promise.all([statusOnceSeen(api, chosen), api.credentials(chosen, user)])
    if (ca === true) return context.out(authorityFor(chosen, credentials).trimEnd())
    const access = proxy === true ? accessByProxy(status, credentials) : accessTo(status, credentials)
    context.out(urlFor(client, access, { showSecret: showSecret === true }))
  })
}

function authorityFor(name: string, { authority }: UserAccess): string {
  if (authority != null) return authority
  throw new HoldfastError('NOT_FOUND', `the engines of ${name} speak in clear: there is nobody to believe`, { name })
}

/** `holdfast cli NAME -- ARGS`: the engine's own command line, signed in as the application. Its exit code is ours. */
export async function cli(context: Context, name: string | undefined, args: readonly string[]): Promise<number> {
  const { program, env, address, authority } = await withApi(context, { acts: false }, async (api) => {
    const chosen = await chooseName(api, name)
    const [status, { user, password, authority: ca }, { spec }] = await Promise.all([
      statusOnceSeen(api, chosen),
      api.credentials(chosen),
      api.spec(chosen),
    ])
    const binary = await findEngine(parseSpec(spec).engine, engineWorld(context.home.path, context.say))
    if (binary.cli === null) {
      throw new HoldfastError(
        'ENGINE_MISSING',
        `${binary.server} has no command line program beside it: install redis-tools or valkey-tools`,
      )
    }
    const primary = status.nodes.find(({ id, state }) => id === status.shards[0]?.primary && state === 'ok')
    const entry = primary ?? status.nodes.find(({ state }) => state === 'ok')
    if (entry === undefined) {
      throw new HoldfastError(
        'UNREACHABLE_ENGINE',
        `no node of ${chosen} answers (${status.because}): see "holdfast status ${chosen}"`,
        { name: chosen },
      )
    }
    return {
      authority: ca ?? null,
      program: binary.cli,
      // The password goes by the environment of that one process: arguments are for everybody to read.
      env: { ...binary.env, REDISCLI_AUTH: password, VALKEYCLI_AUTH: password },
      address: [
        ...(status.topology === 'cluster' ? ['-c'] : []),
        '-h',
        entry.host,
        '-p',
        String(entry.port),
        '--user',
        user,
      ],
    }
  })
  const words = [...address, '--no-auth-warning', ...args]
  return authority === null
    ? runInTerminal(program, words, env)
    : withFile(authority, (file) => runInTerminal(program, ['--tls', '--cacert', file, ...words], env))
}

/** The program wants a file, for as long as it runs. */
async function withFile<T>(text: string, work: (file: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-ca-'))
  try {
    const file = join(folder, 'ca.crt')
    writeFileSync(file, text, { mode: 0o600 })
    return await work(file)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runInTerminal(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  // Ctrl-C is for the program that has the terminal: it may only mean "forget this line".
  const leave = (): void => {}
  process.on('SIGINT', leave)
  try {
    const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...env } })
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal])
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new HoldfastError('ENGINE_MISSING', `cannot run ${program}: ${why}`, { program }, error)
  } finally {
    process.off('SIGINT', leave)
  }
}

/** A spec as it was asked for, in the words of the person and checked. */
export interface Wish {
  readonly text: SpecText
  readonly spec: Spec
}

/** Reads and checks before anybody is asked: a mistake costs nothing. Every mistake is said with its file. */
export function readChecked(file: string): Wish {
  const text = readSpecFile(file) as SpecText
  try {
    return { text, spec: parseSpec(text) }
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    const lines = error.message.split('\n').map((line) => `${file}: ${line}`)
    throw new HoldfastError(error.code, lines.join('\n'), { file, ...error.facts }, error)
  }
}
