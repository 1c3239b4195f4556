/** `holdfast demo`: a shop under load on a deployment that may be broken, and keys to break it with. */
import { setTimeout as delay } from 'node:timers/promises'
import type { DemoAction, SpecText, Status } from '@holdfast/core'
import { defaultSpec, demoActions, formatDuration, HoldfastError, parseSpec } from '@holdfast/core'
import { Demo } from '../demo/demo.ts'
import { plainNote, renderPlain, renderScreen } from '../demo/screen.ts'
import type { RunningController } from '../wire.ts'
import { adminName, savedSpecs, startController } from '../wire.ts'
import { Api } from './api.ts'
import { announceEngine, bringPatiently } from './bring.ts'
import type { Context } from './context.ts'
import { Interrupts } from './interrupts.ts'
import { LiveScreen } from './live-screen.ts'
import { portOf } from './port.ts'
import { engineLines, signInLines, tellPassword } from './report.ts'
import type { Wish } from './spec.ts'
import { takeDown } from './take-down.ts'

const drawEveryMs = 500
const plainEveryMs = 5000
const enginesRunWithinMs = 5000
const ctrlC = '\x03'

/** All that a running demonstration is made of. */
interface Stage {
  readonly context: Context
  readonly demo: Demo
  readonly started: RunningController
  readonly api: Api
  readonly name: string
  readonly interrupts: Interrupts
}

export async function demo(context: Context, options: { readonly port?: string }): Promise<number> {
  const startedAt = performance.now()
  const port = portOf(options.port)
  const wish = wishFor(await savedSpecs(context.home), context.home.path)
  const { name } = wish.spec
  await announceEngine(context, wish)
  let show: Demo | undefined
  const { home, say: progress } = context
  const started = await startController({ home, progress, acts: true, port, demo: () => show })
  const interrupts = new Interrupts()
  const api = new Api(started.url, started.token)
  let isTold = false
  try {
    const errand = { context, wish, isEdit: false, acceptDataLoss: false, startedAt }
    const up = bringPatiently(errand, api, interrupts.signal)
    // The engines first: once they run they wait for each other, and the machine has time for everything else.
    await Promise.race([up, enginesRun(started, name)])
    show = new Demo({ home, deployment: name })
    const stage: Stage = { context, demo: show, started, api, name, interrupts }
    await up
    await begin(stage)
    tellStart(stage, await api.status(name), performance.now() - startedAt)
    isTold = true
    await (process.stdin.isTTY && process.stdout.isTTY ? play(stage) : tell(stage))
    await show.close()
    return await takeDown(context, api, name, interrupts)
  } catch (error) {
    await show?.close()
    if (!interrupts.signal.aborted) throw error
    return await takeDown(context, api, name, interrupts)
  } finally {
    if (!isTold) tellPassword(context, started.newPassword)
    await started.close()
    interrupts.close()
  }
}

/** The deployment that everybody begins with, labelled for drills. Refuses one that is not: its data may be somebody's. */
function wishFor(saved: ReadonlyMap<string, SpecText>, home: string): Wish {
  const name = String(defaultSpec['name'])
  const text = saved.get(name) ?? { ...defaultSpec, drills: 'yes' }
  const spec = parseSpec(text)
  if (spec.drills) return { text, spec }
  throw new HoldfastError(
    'REFUSED_DRILL',
    `${name} in ${home} is not labelled for drills, and the demonstration kills its engines: name another HOLDFAST_HOME for the demonstration, or label ${name} with "drills: yes" in its spec ("holdfast apply")`,
    { name, home },
  )
}

/** Resolves when every engine has a process, or when that takes too long to wait for. */
async function enginesRun({ controller }: RunningController, name: string): Promise<void> {
  const deadline = performance.now() + enginesRunWithinMs
  while (performance.now() < deadline) {
    const nodes = controller.status(name)?.nodes ?? []
    if (nodes.length > 0 && nodes.every(({ pid }) => pid !== null)) return
    await delay(20)
  }
}

async function begin({ demo: show, started, api, name }: Stage): Promise<void> {
  const [{ nodes }, { user, password }, binary] = await Promise.all([
    api.status(name),
    api.credentials(name),
    started.controller.binaryOf(name),
  ])
  const engine = { nodes: nodes.map(({ host, port }) => ({ host, port })), user, password }
  await show.begin({ platform: started.controller, binary, engine })
}

function tellStart({ context, demo: show, started, name }: Stage, status: Status, tookMs: number): void {
  const keys = Object.values(demoActions).map(({ key, label }) => `    ${key}  ${label}`)
  context.out(
    [
      '',
      `the shop serves after ${formatDuration(tookMs)}: ${show.shops.join('  ')}`,
      `${name} is ready: ${status.because}`,
      ...engineLines(status),
      `  panel    ${started.url}`,
      `  page     ${started.url}/demo`,
      ...signInLines(started.newPassword),
      '',
      'One machine protects from the death of a process, not from the death of the machine.',
      '',
      'What can be done, by a key in a terminal or a button on the page:',
      ...keys,
      '',
      'Press Ctrl-C to stop it. The data of the deployment is kept.',
    ].join('\n'),
  )
}

/** In a terminal: one screen, until somebody has seen enough. */
async function play({ demo: show, started, name, interrupts }: Stage): Promise<void> {
  const over = new AbortController()
  const end = (): void => over.abort()
  interrupts.signal.addEventListener('abort', end, { once: true })
  const screen = new LiveScreen(process.stdin, process.stdout, (key) => {
    if (key === 'q' || key === ctrlC) return end()
    const action = actionOf(key)
    if (action !== undefined) void show.pressKey(action)
  })
  const signIn =
    started.newPassword === undefined
      ? `${adminName}, with the password of the first start`
      : `${adminName} / ${started.newPassword} (shown once)`
  try {
    while (!over.signal.aborted) {
      const facts = {
        status: started.controller.status(name),
        state: show.state(),
        notes: show.notes,
        panel: started.url,
        signIn,
        shops: show.shops,
      }
      screen.show(renderScreen(facts, screen.size))
      await delay(drawEveryMs, undefined, { signal: over.signal }).catch(() => undefined)
    }
  } finally {
    screen.close()
  }
}

/** Without a terminal: a line now and then, and one for each thing that happens. */
async function tell({ context, demo: show, interrupts }: Stage): Promise<void> {
  const stop = show.onNote((note) => context.out(plainNote(note)))
  const { signal } = interrupts
  while (!signal.aborted) {
    await delay(plainEveryMs, undefined, { signal }).catch(() => undefined)
    const line = renderPlain(show.state())
    if (line !== '' && !signal.aborted) context.out(plainNote({ at: Date.now(), text: line }))
  }
  stop()
}

function actionOf(key: string): DemoAction | undefined {
  const actions = Object.keys(demoActions) as DemoAction[]
  return actions.find((action) => demoActions[action].key === key)
}
