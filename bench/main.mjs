// @ts-check
/**
 * `npm run bench -- create|failover|operations|planning|reshard|backup|durable|drills|idle|agent|cache|demo [--runs N] [--part NAME] [--json FILE] [--quick]`
 *
 * Each benchmark runs the peer beside ours, alternately, so that a busy machine is unfair to both.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { benchAgent } from './agent.mjs'
import { benchBackup } from './backup.mjs'
import { benchCache } from './cache/cache.mjs'
import { benchCreate } from './create.mjs'
import { benchDemo } from './demo.mjs'
import { benchDrills } from './drills.mjs'
import { benchDurable } from './durable.mjs'
import { benchFailover } from './failover.mjs'
import { formatRatio, formatTable, summarize, verdictOf } from './figures.mjs'
import { benchIdle } from './idle.mjs'
import { describeMachine } from './machine.mjs'
import { benchOperations } from './operations.mjs'
import { benchEngine, cleanUpAtExit } from './place.mjs'
import { benchPlanning } from './planning.mjs'
import { benchReshard } from './reshard.mjs'

/**
 * @typedef {object} Bench
 * @property {import('./bare-cluster.mjs').Engine} engine
 * @property {number} [runs]
 * @property {string} [part]
 * @property {boolean} [quick] Only whether it runs, for those that have it.
 * @property {(line: string) => void} say
 *
 * @typedef {object} Result
 * @property {import('./figures.mjs').Row[]} rows
 * @property {[ours: number, peer: number][]} compare Rows whose medians are put side by side.
 * @property {unknown} [details]
 */

/** @type {Record<string, (bench: Bench) => Promise<Result>>} */
const benches = {
  create: benchCreate,
  failover: benchFailover,
  operations: benchOperations,
  planning: benchPlanning,
  reshard: benchReshard,
  backup: benchBackup,
  durable: benchDurable,
  drills: benchDrills,
  idle: benchIdle,
  agent: benchAgent,
  cache: benchCache,
  demo: benchDemo,
}
const usage =
  'npm run bench -- create|failover|operations|planning|reshard|backup|durable|drills|idle|agent|cache|demo [--runs N] [--part NAME] [--json FILE] [--quick]'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string' }, part: { type: 'string' }, json: { type: 'string' }, quick: { type: 'boolean' } },
})
const [name = ''] = positionals
const bench = benches[name]
const runs = values.runs === undefined ? undefined : Number(values.runs)
if (bench === undefined || (runs !== undefined && !(Number.isInteger(runs) && runs > 0))) {
  console.error(usage)
  process.exit(2)
}

cleanUpAtExit()
const engine = await benchEngine()
const machine = describeMachine(engine)
console.error(
  `${machine.engine}, Node ${machine.node}, ${machine.cores} × ${machine.cpu}, load ${machine.loadAverage.join(' ')}`,
)
const { rows, compare, details } = await bench({
  engine,
  say: (line) => console.error(line),
  ...(runs === undefined ? {} : { runs }),
  ...(values.part === undefined ? {} : { part: values.part }),
  ...(values.quick === undefined ? {} : { quick: values.quick }),
})
console.log(formatTable(rows))
for (const [ours, peer] of compare) {
  const ratio = rows[ours] && rows[peer] && formatRatio(rows[ours], rows[peer])
  if (ratio !== undefined) console.log(ratio)
}

// Part of a benchmark does not take the place of the whole.
const title = [name, ...(values.part === undefined ? [] : [values.part]), ...(values.quick ? ['quick'] : [])].join('-')
const file = values.json ?? fileURLToPath(new URL(`results/${title}.json`, import.meta.url))
const result = {
  name,
  machine: { ...machine, loadAverageAfter: describeMachine(engine).loadAverage },
  rows: rows.map((row) => ({ ...row, ...summarize(row.runs), verdict: verdictOf(row) })),
  details,
}
mkdirSync(dirname(file), { recursive: true })
writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`)
console.error(`written to ${file}`)
process.exit(rows.some((row) => verdictOf(row) === 'MISSED') ? 1 : 0)
