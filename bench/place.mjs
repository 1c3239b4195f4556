// @ts-check
/**
 * Where one benchmark lives: a temporary directory, which every process that it starts has as its working directory or
 * an ancestor of that. So all of them are found and ended, also those that outlive who started them, and nothing else is.
 */
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { engineWorld, findEngine } from '../packages/control/dist/binary/find.js'

/** One place for all runs to keep a fetched engine, so that it is fetched once. */
export const enginesHome = process.env['HOLDFAST_TEST_HOME'] ?? join(tmpdir(), 'holdfast-test-engines')

const root = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-bench-')))

/** @param {string} name */
export function newDirectory(name) {
  const directory = mkdtempSync(join(root, `${name}-`))
  mkdirSync(directory, { recursive: true })
  return directory
}

export async function benchEngine() {
  const wanted = { flavor: /** @type {const} */ ('auto'), version: null, path: null }
  const world = engineWorld(enginesHome, console.error)
  const engine = await findEngine(wanted, world)
  if (engine.cli === null) throw new Error(`${engine.server} has no command line beside it, which is the peer here`)
  return { ...engine, cli: engine.cli }
}

/** Ends all processes in a directory of ours and removes it. Works without waiting, so also while exiting. */
export function removeDirectory(directory = root) {
  for (let tries = 0; tries < 50; tries++) {
    const pids = processesBelow(directory)
    if (pids.length === 0) break
    for (const pid of pids) kill(pid)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}

/** Leaves nothing behind, however the benchmark ends. */
export function cleanUpAtExit() {
  process.on('exit', () => removeDirectory())
  for (const [signal, code] of /** @type {const} */ ([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ])) {
    process.on(signal, () => process.exit(code))
  }
}

/** @param {string} directory */
function processesBelow(directory) {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) return []
    try {
      const where = readlinkSync(`/proc/${entry}/cwd`)
      return where === directory || where.startsWith(`${directory}/`) ? [Number(entry)] : []
    } catch {
      return [] // gone meanwhile, a zombie, or another user's
    }
  })
}

/** @param {number} pid */
function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone meanwhile.
  }
}

const firstPort = 13_000 + (process.pid % 40) * 200
const lastPort = 21_400
let nextPort = firstPort

/**
 * The first of `count` ports that are free, with their bus ports; all below the ports that the system hands out.
 *
 * @param {number} count
 */
export async function freePorts(count) {
  for (let tries = 0; tries < 500; tries++) {
    const base = nextPort
    nextPort = base + 2 * count > lastPort ? 13_000 : base + count
    const ports = Array.from({ length: count }, (_, index) => [base + index, base + index + 10_000]).flat()
    const free = await Promise.all(ports.map(isFree))
    if (free.every(Boolean)) return base
  }
  throw new Error(`no ${count} free ports in a row`)
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
