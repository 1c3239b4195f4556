/**
 * Runs Holdfast from a clone: installs what is missing, builds what has changed, then does what was asked. Plain Node
 * without dependencies, because on a fresh clone there are none.
 */
import { spawn } from 'node:child_process'
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeWithProcesses } from './leftovers.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const inRoot = (...parts) => join(root, ...parts)
const ignore = () => {}
const program = (name) => inRoot('node_modules', '.bin', name)

const commands = {
  build: () => {},
  start: (args) => startHere(['demo', ...args]),
  test: (args) => testHere(args),
  'test:chaos': (args) => testHere(['--config', 'vitest.chaos.config.ts', ...args]),
  'test:browser': (args) => {
    const env = { CHROMIUM: findChromium() }
    return run('the browser tests', program('vitest'), ['run', '--config', 'vitest.browser.config.ts', ...args], {
      env,
    })
  },
  reliability: (args) => {
    const files = [inRoot('test', 'support', 'run-typescript.mjs'), inRoot('bench', 'reliability', 'main.ts')]
    return run('the table of faults', process.execPath, [...files, ...args])
  },
  bench: (args) => run('the benchmark', process.execPath, [inRoot('bench', 'main.mjs'), ...args]),
}

class StepFailed extends Error {
  constructor(message, code) {
    super(message)
    this.code = code
  }
}

try {
  const [name = '', ...args] = process.argv.slice(2)
  if (!Object.hasOwn(commands, name)) throw new StepFailed(`usage: run.mjs ${Object.keys(commands).join(' | ')}`, 2)
  refuseOldNode()
  await install()
  await build()
  await commands[name](args)
} catch (error) {
  if (!(error instanceof StepFailed)) throw error
  console.error(error.message)
  process.exitCode = error.code
}

function refuseOldNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  throw new StepFailed(`this is Node ${process.versions.node}, and Holdfast needs 20.19 or later`, 1)
}

async function install() {
  if (isInstalled()) return
  const packages = Object.keys(packagesOf(inRoot('package-lock.json'))).length
  // What builds and tests is needed too, whatever NODE_ENV says; nothing is compiled, all of it comes prebuilt.
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
  await long(`installing dependencies (up to ${packages} packages)`, 'npm', ['ci', '--include=dev', ...quiet])
}

/** Whether what npm last installed is what the lockfile wants. Optional packages are those of other platforms, too. */
function isInstalled() {
  const wanted = packagesOf(inRoot('package-lock.json'))
  const found = packagesOf(inRoot('node_modules', '.package-lock.json'))
  return Object.entries(wanted).every(([path, { version, optional, devOptional }]) => {
    if (!path.includes('node_modules/') || optional || devOptional) return true
    return found[path] !== undefined && found[path].version === version
  })
}

function packagesOf(lockfile) {
  return existsSync(lockfile) ? JSON.parse(readFileSync(lockfile, 'utf8')).packages : {}
}

async function build() {
  const shared = ['package-lock.json', 'tsconfig.base.json', 'packages/core/src', 'packages/core/tsconfig.json']
  const panel = ['src', 'index.html', 'vite.config.ts', 'tsconfig.json'].map((name) => `packages/panel/${name}`)
  const cache = ['packages/cache/src', 'packages/cache/tsconfig.json']
  const control = ['packages/control/src', 'packages/control/tsconfig.json']
  const results = ['packages/control/dist/main.js', 'packages/cache/dist/index.js']
  await ifChanged('types', [...shared, ...cache, ...panel, ...control], results, () => {
    // What tsc remembers of its last build does not tell it that the result is gone.
    const again = results.every((result) => existsSync(inRoot(result))) ? [] : ['--force']
    return long('building', program('tsc'), ['-b', ...again])
  })
  await ifChanged('panel', [...shared, ...panel], ['packages/control/public/index.html'], () =>
    long('building the panel', program('vite'), ['build', '--logLevel', 'warn'], { cwd: inRoot('packages/panel') }),
  )
}

/** Does the work unless its results are there and no source has changed since it was last begun. */
async function ifChanged(what, sources, results, work) {
  const stamp = inRoot('node_modules', `.holdfast-built-${what}`)
  const isBuilt = [stamp, ...results.map((result) => inRoot(result))].every((file) => existsSync(file))
  const builtAt = isBuilt ? statSync(stamp).mtimeMs : 0
  if (sources.every((source) => changedAt(inRoot(source)) < builtAt)) return
  const begunAt = new Date()
  await work()
  writeFileSync(stamp, '')
  utimesSync(stamp, begunAt, begunAt)
}

/** The latest change of a file, or of anything below a directory; a removal changes the directory itself. */
function changedAt(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => changedAt(join(path, name))))
}

/**
 * The tests write into a directory of this run alone, which goes with all that still runs in it: interrupted tests
 * cannot stop their engines themselves. A fetched engine is kept for the next run.
 */
async function testHere(args) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-tests-'))
  // Root's tests become an ordinary user on their way, who must get through.
  chmodSync(directory, 0o711)
  const HOLDFAST_TEST_HOME = process.env.HOLDFAST_TEST_HOME || join(tmpdir(), 'holdfast-test-engines')
  try {
    await run('the tests', program('vitest'), ['run', ...args], { env: { TMPDIR: directory, HOLDFAST_TEST_HOME } })
  } finally {
    await removeWithProcesses(directory)
  }
}

/** `holdfast demo` in this process, so that Ctrl-C reaches it and not somebody in between. */
async function startHere(args) {
  hearSignalsOnce()
  const { runProgram } = await import('../packages/control/dist/cli/program.js')
  process.exitCode = await runProgram(args)
}

/**
 * Ctrl-C in a terminal reaches this process twice: from the terminal, and from npm, which passes on what it got. The
 * second would be taken for impatience and leave the engines running.
 */
function hearSignalsOnce() {
  const heardAt = new Map()
  const emit = process.emit.bind(process)
  process.emit = (event, ...rest) => {
    const isEcho = performance.now() - (heardAt.get(event) ?? Number.NEGATIVE_INFINITY) < 500
    if (isEcho) return true
    if (event === 'SIGINT' || event === 'SIGTERM') heardAt.set(event, performance.now())
    return emit(event, ...rest)
  }
  // Without a listener the system would end the process before the echo is recognized.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, ignore)
}

/** A step that people wait for: what it does, and how long it took. */
async function long(what, file, args, options) {
  const begunAt = performance.now()
  const seconds = () => `${((performance.now() - begunAt) / 1000).toFixed(1)} s`
  console.error(`${what} ...`)
  const stillThere = setInterval(() => console.error(`${what} ... ${seconds()}`), 10_000)
  try {
    await run(what, file, args, options)
  } finally {
    clearInterval(stillThere)
  }
  console.error(`${what}: done in ${seconds()}`)
}

/** Runs a program in this terminal. Its failure ends this script with its exit code. */
function run(what, file, args, { cwd = root, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, stdio: 'inherit', env: { ...process.env, ...env } })
    // The terminal interrupts the child itself, which then tidies up; what is sent to us alone is passed on.
    const pass = () => child.kill('SIGTERM')
    process.on('SIGINT', ignore).on('SIGTERM', pass)
    child.once('error', (error) => reject(new StepFailed(`${what}: ${error.message}`, 1)))
    child.once('close', (code, signal) => {
      process.off('SIGINT', ignore).off('SIGTERM', pass)
      if (code === 0) return resolve()
      const how = signal === null ? `exit code ${code}` : `ended by ${signal}`
      reject(new StepFailed(`${what}: failed (${how})`, code ?? 1))
    })
  })
}

function findChromium() {
  const { CHROMIUM, PATH = '' } = process.env
  if (CHROMIUM !== undefined) return CHROMIUM
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
  const found = names.flatMap((name) => PATH.split(delimiter).map((directory) => join(directory, name))).find(canRun)
  if (found !== undefined) return found
  const how = 'Debian and Ubuntu: "apt-get install -y chromium"; or name one with CHROMIUM=/path/to/it'
  throw new StepFailed(`the browser tests need Chromium, and there is none on the PATH. ${how}.`, 1)
}

function canRun(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
