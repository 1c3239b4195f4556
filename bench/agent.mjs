// @ts-check
/**
 * What an agent costs that nothing happens to: three of them, each at an address of its own of the loopback and with two
 * engines, all with TLS as between machines, and a controller that looks.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Api } from '../packages/control/dist/cli/api.js'
import { readController } from '../packages/control/dist/store/controller-file.js'
import { homeAt } from '../packages/control/dist/store/home.js'
import { enginesHome, freePorts, newDirectory, removeDirectory } from './place.mjs'
import { delay, eventually, now } from './time.mjs'
import { cpuMs, memoryMb } from './usage.mjs'

const program = fileURLToPath(new URL('../packages/control/dist/main.js', import.meta.url))
const name = 'bench'
const warmUpMs = 30_000
const measureMs = 60_000
const hosts = ['a', 'b', 'c'].map((host, at) => ({ name: host, address: `127.0.0.1${at + 1}`, zone: `zone-${host}` }))

/** @param {import('./main.mjs').Bench} bench */
export async function benchAgent({ runs = 1, say }) {
  const directory = newDirectory('hosts')
  /** @type {Measured[]} */
  const measured = []
  try {
    const pids = await startHosts(directory)
    for (let run = 1; run <= runs; run++) {
      say(`run ${run}: ${warmUpMs / 1000} s of warm-up, then ${measureMs / 1000} s`)
      await delay(warmUpMs)
      measured.push(await measure(pids))
    }
  } finally {
    removeDirectory(directory)
  }
  const [cpu, memory] = [1, 80].map((atMost) => [{ of: /** @type {const} */ ('median'), atMost }])
  const rows = [
    {
      what: 'agent with two engines',
      unit: '% of a core',
      runs: measured.flatMap(({ shares }) => shares),
      limits: cpu,
    },
    { what: 'agent, resident', unit: 'MB', runs: measured.flatMap(({ rssMb }) => rssMb), limits: memory },
    { what: 'agent, peak since its start', unit: 'MB', runs: measured.flatMap(({ peakMb }) => peakMb) },
  ]
  return { rows, compare: [] }
}

/** @typedef {Awaited<ReturnType<typeof measure>>} Measured */

/** @param {readonly number[]} pids */
async function measure(pids) {
  const [from, before] = [now(), pids.map(cpuMs)]
  await delay(measureMs)
  const tookMs = now() - from
  return {
    shares: pids.map((pid, at) => (100 * (cpuMs(pid) - (before[at] ?? 0))) / tookMs),
    rssMb: pids.map((pid) => memoryMb(pid, 'VmRSS')),
    peakMb: pids.map((pid) => memoryMb(pid, 'VmHWM')),
  }
}

/** A controller, three agents that have joined it, and six nodes on them. Answers the pids of the agents. @param {string} directory */
async function startHosts(directory) {
  const base = await freePorts(9)
  const [port, door, agentPort] = [base + 6, base + 7, base + 8]
  const home = homeIn(directory, 'controller')
  start(home, ['serve', '--port', `${port}`, '--address', '127.0.0.10', '--join-port', `${door}`])
  const api = await eventually(
    async () => {
      const found = readController(homeAt(home))
      return found && new Api(found.url, found.token)
    },
    { withinMs: 20_000, what: 'the controller answers' },
  )
  const pids = await Promise.all(
    hosts.map(async ({ name: host, address, zone }) => {
      const token = await api.inviteHost({ host, zone })
      return start(homeIn(directory, host), ['agent', '--token', token, '--address', address, '--port', `${agentPort}`])
    }),
  )
  const here = async () => (await api.hosts()).filter(({ state }) => state === 'here').length === 3 || undefined
  await eventually(here, { withinMs: 30_000, what: 'all hosts have joined' })
  await api.apply(name, { name, hosts, security: { tls: 'on' }, expose: { basePort: base } }, null)
  const isReady = async () => (await api.status(name)).ready === 'yes' || undefined
  await eventually(isReady, { withinMs: 60_000, what: 'ready' })
  return pids
}

/** One that knows the engine already. @param {string} directory @param {string} host */
function homeIn(directory, host) {
  const home = join(directory, host)
  mkdirSync(home, { mode: 0o700 })
  mkdirSync(join(enginesHome, 'engines'), { recursive: true })
  symlinkSync(join(enginesHome, 'engines'), join(home, 'engines'))
  return home
}

/** @param {string} home @param {readonly string[]} args */
function start(home, args) {
  const env = { ...process.env, HOLDFAST_HOME: home }
  return spawn(process.execPath, [program, ...args], { cwd: home, env, stdio: 'ignore' }).pid ?? 0
}
