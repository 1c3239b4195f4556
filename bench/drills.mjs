// @ts-check
/**
 * Whether class `durable` keeps its word: each fault many times, by the drills themselves, with every acknowledged write
 * read back. A frozen engine is killed once a shard in ten minutes, so a deployment is good for one freeze of each shard.
 */
import { execFile } from 'node:child_process'
import { Deployment } from './deployment.mjs'

/** @typedef {import('@holdfast/core').DrillReport} Report */

const faults = /** @type {const} */ (['kill-primary', 'freeze', 'bounce'])
const frozenFor = '10s'

/** @param {import('./main.mjs').Bench} bench @returns {Promise<import('./main.mjs').Result>} */
export async function benchDrills({ say, runs = 20, part }) {
  const chosen = faults.filter((fault) => part === undefined || part === fault)
  if (chosen.length === 0) throw new Error(`there is no part ${part}: ${faults.join(', ')}`)
  /** @type {import('./figures.mjs').Row[]} */
  const rows = []
  /** @type {Report[]} */
  const details = []
  for (const fault of chosen) {
    const reports = await drillOften(fault, runs, say)
    rows.push(...rowsOf(fault, reports))
    details.push(...reports)
  }
  return { rows, compare: [], details }
}

/** @param {(typeof faults)[number]} fault @param {number} runs @param {(line: string) => void} say */
async function drillOften(fault, runs, say) {
  /** @type {Report[]} */
  const reports = []
  while (reports.length < runs) {
    const deployment = await Deployment.up({ durability: 'durable', replicasPerShard: 2, drills: 'yes' })
    try {
      const { name, shards } = await deployment.ready()
      for (const { id } of shards) {
        if (reports.length === runs) break
        const { shards: now } = await deployment.ready()
        const primary = now.find((shard) => shard.id === id)?.primary ?? ''
        const report = await drill(deployment, name, [
          fault,
          '--node',
          primary,
          ...(fault === 'freeze' ? ['--for', frozenFor] : []),
        ])
        reports.push(report)
        say(`${fault} ${reports.length}: ${report.verdict.because}`)
      }
    } finally {
      await deployment.remove()
    }
  }
  return reports
}

/** @param {Deployment} deployment @param {string} name @param {readonly string[]} args @returns {Promise<Report>} */
function drill({ program, home }, name, args) {
  const command = [program, 'drill', name, ...args, '--clients', 'durable', '--json', '--yes']
  const env = { ...process.env, HOLDFAST_HOME: home }
  return new Promise((resolve, reject) => {
    // A promise that was broken is told by the exit code, too; the report is there all the same.
    execFile(process.execPath, command, { env, maxBuffer: 256 * 1024 ** 2 }, (error, stdout, stderr) => {
      if (stdout === '') reject(new Error(stderr, { cause: error }))
      else resolve(JSON.parse(stdout))
    })
  })
}

/** @param {string} fault @param {readonly Report[]} reports @returns {import('./figures.mjs').Row[]} */
function rowsOf(fault, reports) {
  const total = (/** @type {(report: Report) => number} */ of) => reports.reduce((sum, report) => sum + of(report), 0)
  const broken = reports.filter(({ verdict }) => !verdict.kept)
  const note = `${total(({ writes }) => writes.acknowledged)} acknowledged, ${total(({ writes }) => writes.failed)} failed, ${total(({ writes }) => writes.indeterminate)} undecided; ${broken.length} drills broke a promise`
  return [
    {
      what: `durable, ${fault}, acknowledged writes lost`,
      unit: 'writes',
      runs: reports.map(({ writes }) => writes.lost),
      limits: [{ of: 'max', atMost: 0 }],
      note: [note, ...broken.map(({ verdict }) => verdict.because)].join('; '),
    },
    {
      what: `durable, ${fault}, longest time without a write`,
      unit: 'ms',
      runs: reports.map(({ outages }) => Math.max(...outages.map(({ longestGapMs }) => longestGapMs))),
    },
  ]
}
