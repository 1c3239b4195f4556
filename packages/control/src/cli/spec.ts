import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { SpecText } from '@holdfast/core'
import { clientNamed, HoldfastError, parseSpec, urlFor } from '@holdfast/core'
import { findEngine } from '../binary/find.ts'
import { readSpecFile } from '../store/read-spec.ts'
import { confirm } from './ask.ts'
import { chooseName, withApi } from './connect.ts'
import type { Context } from './context.ts'
import { isReady, until } from './until.ts'

/** `holdfast plan SPEC`: what apply would do, and with --config the text that every engine would get. */
export async function plan(
  context: Context,
  file: string,
  { config, json }: { config?: boolean; json?: boolean },
): Promise<void> {
  const { text } = readChecked(file)
  await withApi(context, false, async (api) => {
    const preview = await api.plan(text)
    if (json === true) return context.out(JSON.stringify(preview, null, 2))
    context.out(preview.because)
    for (const change of preview.changes) context.out(`  ${change}`)
    if (config !== true) return
    for (const [node, text] of Object.entries(preview.files)) context.out(`\n## ${node}\n${text}`)
  })
}

/** `holdfast apply SPEC`: shows the plan, asks, saves; the loop does the rest. */
export async function apply(
  context: Context,
  file: string,
  { yes, wait }: { yes?: boolean; wait?: boolean },
): Promise<void> {
  const { text, name } = readChecked(file)
  await withApi(context, true, async (api) => {
    const preview = await api.plan(text)
    context.say(preview.because)
    for (const change of preview.changes) context.say(`  ${change}`)
    if (!preview.isNew && preview.changes.length === 0) return
    const base = preview.isNew ? 0 : (await api.spec(name)).revision
    await confirm(context, `apply this to ${name}?`, yes === true)
    const { revision } = await api.apply(name, text, base)
    context.say(`${name}: revision ${revision} saved`)
    if (wait === true) await until(context, api, name, isReady, 60_000)
  })
}

/** `holdfast url NAME`: what an unmodified client needs to connect. */
export async function url(
  context: Context,
  name: string | undefined,
  { as, showSecret }: { as: string; showSecret?: boolean },
): Promise<void> {
  const client = clientNamed(as)
  await withApi(context, false, async (api) => {
    const chosen = await chooseName(api, name)
    const [status, { user, password }] = await Promise.all([api.status(chosen), api.credentials(chosen)])
    const nodes = status.nodes.map(({ host, port }) => ({ address: host, port }))
    const facts = { nodes, user, password }
    context.out(urlFor(client, facts, { showSecret: showSecret === true }))
  })
}

/** `holdfast cli NAME -- ARGS`: the engine's own command line, signed in as the application. */
export async function cli(context: Context, name: string | undefined, args: readonly string[]): Promise<number> {
  const { program, env, port, host } = await withApi(context, false, async (api) => {
    const chosen = await chooseName(api, name)
    const [status, { password }, { spec }] = await Promise.all([
      api.status(chosen),
      api.credentials(chosen),
      api.spec(chosen),
    ])
    const binary = await findEngine(parseSpec(spec).engine, {
      home: context.home.path,
      path: process.env['PATH'] ?? '',
      progress: context.say,
    })
    if (binary.cli === null) {
      throw new HoldfastError(
        'ENGINE_MISSING',
        `${binary.server} has no command line program beside it: install redis-tools or valkey-tools`,
      )
    }
    const entry = status.nodes.find(({ state }) => state === 'ok') ?? status.nodes[0]
    if (entry === undefined) throw new HoldfastError('NOT_FOUND', `${chosen} has no nodes`)
    // The password goes by the environment of that one process: arguments are for everybody to read.
    return { program: binary.cli, env: { ...binary.env, REDISCLI_AUTH: password, VALKEYCLI_AUTH: password }, ...entry }
  })
  const child = spawn(
    program,
    ['-c', '-h', host, '-p', String(port), '--user', 'app', '--no-auth-warning', ...withoutDashes(args)],
    {
      stdio: 'inherit',
      env: { ...process.env, ...env },
    },
  )
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}

/** The `--` that parts our words from the engine's. */
const withoutDashes = (args: readonly string[]): readonly string[] => (args[0] === '--' ? args.slice(1) : args)

/** Reads and checks before anybody is asked: a mistake costs nothing. */
export function readChecked(file: string): { text: SpecText; name: string } {
  const text = readSpecFile(file) as SpecText
  return { text, name: parseSpec(text).name }
}
