/**
 * Looks twice a second at the arguments and the environment of every process of this run, and ends the run as failed
 * where one shows a secret: everybody on a machine may read arguments, and every child inherits an environment.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseStat } from '../../packages/control/src/proc.ts'
import { byHand, refuseSecrets, shownIn } from './no-secrets.ts'

const everyMs = 500
const run = 'HOLDFAST_TEST_RUN'
const hand = `HOLDFAST_TEST_HAND=${byHand.HOLDFAST_TEST_HAND}`

/** For the program that somebody asked us to run, and that is told in this way who it is; no other inherits them. */
const meant = new Set([
  'REDISCLI_AUTH',
  'VALKEYCLI_AUTH',
  'HOLDFAST_URL',
  'REDIS_URL',
  'REDIS_PASSWORD',
  'HOLDFAST_ADOPT_PASSWORD',
])

export default function watchProcesses(): () => void {
  // Whoever is started from now on has it in its environment, also where it outlives the one who started it.
  process.env[run] = `${process.pid}-${process.hrtime.bigint()}`
  const found = new Set<string>()
  const look = setInterval(() => {
    for (const sentence of ours().flatMap(shownBy)) found.add(sentence)
  }, everyMs)
  look.unref()
  return () => {
    clearInterval(look)
    refuseSecrets([...found])
  }
}

interface Seen {
  readonly pid: number
  readonly environment: readonly string[]
}

/** Those below this process, and the engines that were left behind, which work in the homes of tests. */
function ours(): Seen[] {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))
  const parents = new Map(pids.map((pid) => [Number(pid), parseStat(textOf(`/proc/${pid}/stat`))?.parent ?? 0]))
  const isBelow = (pid: number, depth = 0): boolean =>
    pid === process.pid || (pid > 1 && depth < 20 && isBelow(parents.get(pid) ?? 0, depth + 1))
  return [...parents.keys()].flatMap((pid) => {
    if (!isBelow(pid) && !worksInTestHome(pid)) return []
    const environment = textOf(`/proc/${pid}/environ`).split('\0')
    return isBelow(pid) || environment.includes(`${run}=${process.env[run]}`) ? [{ pid, environment }] : []
  })
}

function shownBy({ pid, environment }: Seen): string[] {
  if (environment.includes(hand)) return []
  const words = textOf(`/proc/${pid}/cmdline`).split('\0')
  const title = words.slice(0, 3).join(' ')
  const inEnvironment = environment.filter((line) => !meant.has(line.split('=', 1)[0] ?? ''))
  return [
    ...shownIn(words.join(' ')).map((secret) => `the arguments of "${title}" show ${secret}`),
    ...inEnvironment.flatMap((line) =>
      shownIn(line).map((secret) => `the environment of "${title}" shows ${secret} as ${line.split('=', 1)[0]}`),
    ),
  ]
}

function worksInTestHome(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`).startsWith(join(tmpdir(), 'holdfast-'))
  } catch {
    return false
  }
}

/** Empty where it is gone meanwhile, or another user's. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
