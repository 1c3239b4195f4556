// @ts-check
/** What it costs to keep six idle nodes: the controller's share of one core and its memory, and the engines' share. */
import { spawn } from 'node:child_process'
import { Deployment } from './deployment.mjs'
import { newDirectory } from './place.mjs'
import { delay, now } from './time.mjs'
import { cpuMs, memoryMb } from './usage.mjs'

const warmUpMs = 30_000
const measureMs = 60_000

/** @param {import('./main.mjs').Bench} bench */
export async function benchIdle({ runs = 1, say }) {
  /** @type {Measured[]} */
  const alone = []
  /** @type {Measured[]} */
  const watched = []
  /** @type {number[]} */
  const unwatchedEngines = []
  const deployment = await Deployment.up()
  try {
    for (let run = 1; run <= runs; run++) {
      say(`run ${run}: ${warmUpMs / 1000} s of warm-up, then ${measureMs / 1000} s each without a panel, with one`)
      await delay(warmUpMs)
      alone.push(await measure(deployment.controllerPid, await deployment.pids()))
      const panel = await openPanel(deployment)
      watched.push(await measure(deployment.controllerPid, await deployment.pids()))
      panel.abort()
    }
    const pids = await deployment.pids()
    await deployment.killController()
    say('the controller is killed: what the engines need by themselves')
    unwatchedEngines.push((await measure(process.pid, pids)).enginesShare)
  } finally {
    await deployment.remove()
  }
  const cpu = [{ of: /** @type {const} */ ('median'), atMost: 2 }]
  const memory = [{ of: /** @type {const} */ ('median'), atMost: 120 }]
  const rows = [
    { what: 'controller', unit: '% of a core', runs: alone.map(({ share }) => share), limits: cpu },
    { what: 'controller with one panel', unit: '% of a core', runs: watched.map(({ share }) => share), limits: cpu },
    { what: 'controller, resident', unit: 'MB', runs: alone.map(({ rssMb }) => rssMb), limits: memory },
    {
      what: 'controller with one panel, resident',
      unit: 'MB',
      runs: watched.map(({ rssMb }) => rssMb),
      limits: memory,
    },
    { what: 'controller, peak since its start', unit: 'MB', runs: watched.map(({ peakMb }) => peakMb) },
    { what: 'Node alone, resident', unit: 'MB', runs: [await nodeAloneMb()] },
    { what: 'six engines, watched', unit: '% of a core', runs: alone.map(({ enginesShare }) => enginesShare) },
    { what: 'six engines, controller off', unit: '% of a core', runs: unwatchedEngines },
  ]
  return { rows, compare: [] }
}

/** @typedef {Awaited<ReturnType<typeof measure>>} Measured */

/**
 * @param {number} pid
 * @param {readonly number[]} engines
 */
async function measure(pid, engines) {
  const before = { at: now(), cpuMs: cpuMs(pid), enginesMs: cpuOfAll(engines) }
  await delay(measureMs)
  const tookMs = now() - before.at
  return {
    share: (100 * (cpuMs(pid) - before.cpuMs)) / tookMs,
    enginesShare: (100 * (cpuOfAll(engines) - before.enginesMs)) / tookMs,
    rssMb: memoryMb(pid, 'VmRSS'),
    peakMb: memoryMb(pid, 'VmHWM'),
  }
}

/** @param {readonly number[]} pids */
const cpuOfAll = (pids) => pids.reduce((sum, pid) => sum + cpuMs(pid), 0)

/** What a browser does that shows the page: it follows the status and the events. @param {Deployment} deployment */
async function openPanel(deployment) {
  const closed = new AbortController()
  const { url, headers } = deployment.asPanel()
  for (const path of ['/watch', '/events']) {
    const response = await fetch(`${url}/api/v1${path}`, { headers, signal: closed.signal })
    if (!response.ok || response.body === null) throw new Error(`${path} answered ${response.status}`)
    void response.body.pipeTo(new WritableStream()).catch(() => {})
  }
  return closed
}

/** The floor: what Node itself takes to do nothing. */
async function nodeAloneMb() {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    cwd: newDirectory('node'),
    stdio: 'ignore',
  })
  await delay(2000)
  const mb = memoryMb(child.pid ?? 0, 'VmRSS')
  child.kill()
  return mb
}
