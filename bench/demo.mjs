// @ts-check
/**
 * The demonstration, measured by what its own shops, visitors and writers count: how soon it serves, what its faults cost
 * in both lanes, and what the shop does without its cache and without its database.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { enginesHome, freePorts, newDirectory, removeDirectory } from './place.mjs'
import { delay, eventually, now } from './time.mjs'

/**
 * @typedef {import('@holdfast/core').LaneSample} Sample
 * @typedef {import('@holdfast/core').DemoAction} Action
 * @typedef {import('@holdfast/core').LaneName} Lane
 */

const inRoot = (/** @type {string} */ path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
/** What a visitor waits for at most, and what the database answers at most in a second. */
const patienceMs = 2000
const questionsMax = 200

class Demo {
  #home
  #child
  /** @type {number} */
  servesAfterMs = Number.NaN

  /** @param {string} home @param {readonly string[]} command */
  constructor(home, command) {
    this.#home = home
    const [program = '', ...args] = command
    this.#child = spawn(program, args, {
      cwd: inRoot('.'),
      env: { ...process.env, HOLDFAST_HOME: home },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  }

  /** In a fresh home, with the engine that was fetched before. @param {readonly string[]} [command] */
  static async start(command = [process.execPath, inRoot('packages/control/dist/main.js'), 'demo']) {
    const home = newDirectory('demo')
    mkdirSync(join(enginesHome, 'engines'), { recursive: true })
    symlinkSync(join(enginesHome, 'engines'), join(home, 'engines'))
    const spec = { name: 'shop', drills: 'yes', expose: { basePort: await freePorts(6) } }
    const file = join(home, '..', 'shop.yaml')
    writeFileSync(file, JSON.stringify(spec))
    const main = inRoot('packages/control/dist/main.js')
    await ended(
      spawn(process.execPath, [main, 'apply', file, '--yes'], {
        env: { ...process.env, HOLDFAST_HOME: home },
        stdio: 'ignore',
      }),
    )
    const port = await freePorts(1)
    const from = now()
    const demo = new Demo(home, [...command, '--port', String(port)])
    let said = ''
    demo.#child.stdout.on('data', (chunk) => {
      said += chunk
      if (Number.isNaN(demo.servesAfterMs) && said.includes('the shop serves')) demo.servesAfterMs = now() - from
    })
    await until(() => !Number.isNaN(demo.servesAfterMs), { withinMs: 60_000, what: 'the shop serves' })
    return demo
  }

  /** All visitors are there, and the caches are full. */
  async busy() {
    await until(
      async () => {
        const { requests, queries } = await this.last('holdfast')
        return requests > 150 && queries < 50
      },
      { withinMs: 60_000, what: 'all visitors are there' },
    )
  }

  /** @param {Action} action @returns {Promise<string>} */
  async press(action) {
    const { did, error } = await this.#ask('/demo/actions', { action })
    if (did === undefined) throw new Error(`${action}: ${error?.message}`)
    return did
  }

  /** @returns {Promise<import('@holdfast/core').DemoState>} */
  state() {
    return this.#ask('/demo')
  }

  /** @param {Lane} lane @returns {Promise<Sample>} */
  async last(lane) {
    const found = (await this.state()).samples.findLast((sample) => sample.lane === lane)
    if (found === undefined) throw new Error(`nothing was counted in the lane ${lane} yet`)
    return found
  }

  /** The seconds of a lane from an action until so many ms after it. @param {Lane} lane @param {Action} action @param {number} forMs */
  async seconds(lane, action, forMs) {
    const { at } = await this.last(lane)
    await this.press(action)
    await until(async () => (await this.last(lane)).at >= at + forMs, { withinMs: forMs + 30_000, what: action })
    return (await this.state()).samples.filter((sample) => sample.lane === lane && sample.at > at)
  }

  async healed() {
    await until(
      async () => {
        const { ready, because } = await this.#ask('/deployments/shop')
        if (ready !== 'yes' || !because.includes('in sync')) throw new Error(because)
        return true
      },
      { withinMs: 60_000, what: 'shop is ready again' },
    )
  }

  async close() {
    this.#child.kill('SIGINT')
    await ended(this.#child)
    removeDirectory(this.#home)
  }

  /** @param {string} path @param {unknown} [body] */
  async #ask(path, body) {
    const { url, token } = JSON.parse(readFileSync(join(this.#home, 'controller.json'), 'utf8'))
    const headers = { authorization: `Bearer ${token}`, accept: 'application/json', 'content-type': 'application/json' }
    const how = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) }
    return (await fetch(`${url}/api/v1${path}`, how)).json()
  }
}

/** @param {import('./main.mjs').Bench} bench @returns {Promise<import('./main.mjs').Result>} */
export async function benchDemo({ runs, part, say }) {
  /** @type {Record<string, () => Promise<import('./figures.mjs').Row[]>>} */
  const parts = {
    start: () => starts(runs ?? 5, say),
    kill: () => kills(runs ?? 20, say),
    away: () => away(say),
    compare: () => compared(runs ?? 3, say),
  }
  const chosen = part === undefined ? Object.values(parts) : [parts[part]]
  const rows = []
  for (const measure of chosen) {
    if (measure === undefined) throw new Error(`the parts of demo are ${Object.keys(parts).join(', ')}`)
    rows.push(...(await measure()))
  }
  return { rows, compare: [] }
}

/** From `npm start` in a warm clone until the shop serves. @param {number} runs @param {(line: string) => void} say */
async function starts(runs, say) {
  const servedMs = []
  for (let run = 1; run <= runs; run++) {
    const demo = await Demo.start(['npm', 'start', '--'])
    servedMs.push(demo.servesAfterMs)
    say(`start ${run}: ${Math.round(demo.servesAfterMs)} ms`)
    await demo.close()
  }
  return [row('npm start until the shop serves', 'ms', servedMs, 8000)]
}

/** @param {number} runs @param {(line: string) => void} say */
async function kills(runs, say) {
  const demo = await Demo.start()
  const [errors, p99Ms, missing] = [
    /** @type {number[]} */ ([]),
    /** @type {number[]} */ ([]),
    /** @type {number[]} */ ([]),
  ]
  try {
    await demo.busy()
    for (let run = 1; run <= runs; run++) {
      const before = (await demo.last('holdfast')).missing
      const seconds = await demo.seconds('holdfast', 'kill', 6000)
      errors.push(sum(seconds.map((second) => second.errors)))
      p99Ms.push(most(seconds.map((second) => second.p99Ms)))
      missing.push((await demo.last('holdfast')).missing - before)
      say(`kill ${run}: ${errors.at(-1)} errors, p99 ${Math.round(p99Ms.at(-1) ?? 0)} ms, ${missing.at(-1)} missing`)
      await demo.healed()
    }
  } finally {
    await demo.close()
  }
  return [
    row('kill: errors, with Holdfast', 'errors', errors, 0),
    row('kill: slowest second, p99', 'ms', p99Ms),
    row('kill: acknowledged and missing', 'writes', missing),
  ]
}

/** The shop without its cache, and without its database. @param {(line: string) => void} say */
async function away(say) {
  const demo = await Demo.start()
  try {
    await demo.busy()
    /** @type {import('./figures.mjs').Row[]} */
    const rows = []
    for (const action of /** @type {const} */ (['two', 'freeze', 'cache', 'database'])) {
      const seconds = await demo.seconds('holdfast', action, action === 'database' ? 20_000 : 10_000)
      const isLimited = action === 'cache' || action === 'database'
      rows.push(
        row(
          `${action}: errors`,
          'errors',
          [sum(seconds.map(({ errors }) => errors))],
          action === 'cache' ? undefined : 0,
        ),
        row(
          `${action}: slowest second, p99`,
          'ms',
          [most(seconds.map(({ p99Ms }) => p99Ms))],
          isLimited ? patienceMs : undefined,
        ),
        row(
          `${action}: questions in a second`,
          'questions',
          [most(seconds.map(({ queries }) => queries))],
          isLimited ? questionsMax : undefined,
        ),
        row(`${action}: old pages, marked`, 'pages', [sum(seconds.map(({ stale }) => stale))]),
      )
      say(
        `${action}: ${rows
          .slice(-4)
          .map(({ unit, runs }) => `${Math.round(runs[0] ?? 0)} ${unit}`)
          .join(', ')}`,
      )
      await demo.healed()
    }
    return rows
  } finally {
    await demo.close()
  }
}

/** The same kill in both lanes; the other one is given the time to get well. @param {number} runs @param {(line: string) => void} say */
async function compared(runs, say) {
  const demo = await Demo.start()
  const errors = { holdfast: /** @type {number[]} */ ([]), bare: /** @type {number[]} */ ([]) }
  try {
    await demo.busy()
    await demo.press('compare')
    await until(async () => (await demo.last('bare')).requests > 150, { withinMs: 60_000, what: 'the other lane' })
    // Its caches are cold as well.
    await delay(15_000)
    for (let run = 1; run <= runs; run++) {
      const before = (await demo.last('holdfast')).errorsTotal
      const seconds = await demo.seconds('bare', 'kill', 50_000)
      errors.bare.push(sum(seconds.map((second) => second.errors)))
      errors.holdfast.push((await demo.last('holdfast')).errorsTotal - before)
      say(`kill ${run} in both lanes: ${errors.holdfast.at(-1)} and ${errors.bare.at(-1)} errors`)
    }
  } finally {
    await demo.close()
  }
  return [
    row('compared, kill: errors, with Holdfast', 'errors', errors.holdfast, 0),
    row('compared, kill: errors, the engine alone', 'errors', errors.bare),
  ]
}

/**
 * @param {string} what
 * @param {string} unit
 * @param {number[]} runs
 * @param {number} [atMost]
 * @returns {import('./figures.mjs').Row}
 */
function row(what, unit, runs, atMost) {
  return { what, unit, runs, ...(atMost === undefined ? {} : { limits: [{ of: 'max', atMost }] }) }
}

/**
 * Asks until it is so.
 *
 * @param {() => boolean | Promise<boolean>} isSo
 * @param {{ withinMs: number, what: string }} options
 */
const until = (isSo, options) => eventually(async () => (await isSo()) || undefined, options)

/** @param {readonly number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0)
/** @param {readonly (number | null)[]} values */
const most = (values) => Math.max(0, ...values.map((value) => value ?? 0))

/** @param {import('node:child_process').ChildProcess} child */
function ended(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => void child.once('exit', () => resolve(undefined)))
}
