/*
 * Two controllers with homes of their own, three agents that carry etcd between them, and a deployment over the three: all
 * as a person sets it up, each at an address of its own of the loopback. Then the one that acts is killed with its host.
 */
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Status } from '@holdfast/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findEtcd } from '../../packages/control/src/binary/etcd.ts'
import { engineWorld } from '../../packages/control/src/binary/find.ts'
import { parseJoinToken } from '../../packages/control/src/hosts/token.ts'
import { processesIn } from '../../packages/control/src/proc.ts'
import { freePorts, programsHome } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import type { Running } from '../support/program.ts'
import { Program } from '../support/program.ts'

interface Controller {
  readonly program: Program
  running: Running
}

const names = ['a', 'b', 'c'] as const
const addressOf = (name: string): string => `127.0.0.2${names.indexOf(name as 'a') + 1}`
const agents = new Map<string, { readonly program: Program; readonly running: Running }>()
let ports: { readonly base: number; readonly door: number; readonly agent: number; readonly etcd: number }
let seats: string
let one: Controller
let other: Controller

const etcdDirectory = (name: string): string => join(agents.get(name)?.program.home.agent ?? '', 'etcd')
const status = ({ program }: Controller): Promise<Status> => program.ask<Status>('/deployments/shop')
/** Who says of itself that it acts; undefined: nobody does just now. */
async function acting(): Promise<Controller | undefined> {
  for (const controller of [one, other]) {
    const seen = await status(controller).catch(() => undefined)
    if (seen?.controller.lease === 'held') return controller
  }
  return undefined
}

beforeAll(async () => {
  // Once for all three, and before anybody is waited for.
  await findEtcd(engineWorld(programsHome, (line) => console.log(line)))
  const base = await freePorts(10)
  ports = { base, door: base + 6, agent: base + 7, etcd: base + 8 }
  seats = names.map((name) => `${name}=${addressOf(name)}:${ports.etcd}`).join(',')
  one = { program: new Program(), running: undefined as never }
  one.running = serve(one.program, 'a')
  await eventually(() => one.running.stderr().includes('panel http'), {
    what: 'the first controller serves',
    withinMs: 30_000,
  })
  await Promise.all(names.map(enrol))
  one.running.signal('SIGTERM')
  await one.running.ended
  one.running = serve(one.program, 'a', ...storeFlags('a'))
  await eventually(() => one.running.stderr().includes('panel http'), { withinMs: 30_000, what: 'it serves from etcd' })
  const second = new Program()
  mkdirSync(second.path, { recursive: true, mode: 0o700 })
  copyFileSync(one.program.home.key, second.home.key)
  other = { program: second, running: serve(second, 'b', ...storeFlags('b')) }
  await eventually(() => other.running.stderr().includes('panel http'), {
    what: 'the second controller serves',
    withinMs: 30_000,
  })
}, 180_000)

afterAll(async () => {
  for (const { running } of agents.values()) running.signal('SIGKILL')
  for (const name of names) for (const { pid } of processesIn(etcdDirectory(name))) process.kill(pid, 'SIGKILL')
  const all = [one, other, ...agents.values()].filter((each) => each !== undefined)
  await Promise.all(all.map(({ program }) => program.close()))
})

function serve(program: Program, on: string, ...more: string[]): Running {
  const at = ['--address', addressOf(on), '--join-port', String(ports.door)]
  return program.start(['serve', ...at, ...more], { withinMs: 600_000 })
}

const storeFlags = (on: string): string[] => [
  '--store',
  `etcds://${names.map((name) => `${addressOf(name)}:${ports.etcd}`).join(',')}`,
  ...['ca=authority', 'cert=certificate', 'key=key'].flatMap((pair) => {
    const [flag = '', file = ''] = pair.split('=')
    return [`--store-${flag}`, join(etcdDirectory(on), `${file}.pem`)]
  }),
]

async function enrol(name: string): Promise<void> {
  const program = new Program()
  const { stdout } = await one.program.ok(['token', '--host', name, '--zone', `z-${name}`])
  const at = ['--address', addressOf(name), '--port', String(ports.agent), '--etcd', seats, '--etcd-new']
  const running = program.start(['agent', '--token', '-', ...at], { withinMs: 600_000 })
  running.type(stdout)
  agents.set(name, { program, running })
  await eventually(() => running.stderr().includes(`agent of ${name}`), {
    what: `${name} has joined`,
    withinMs: 30_000,
  })
}

test('a machine may join by either, whoever made its token', async () => {
  const { stdout } = await other.program.ok(['token', '--host', 'd'])
  expect(parseJoinToken(stdout).urls).toEqual(
    [addressOf('b'), addressOf('a')].map((at) => `https://${at}:${ports.door}`),
  )
})

test('a deployment that is wished for at one comes up, and both show it', async () => {
  const spec = other.program.file('shop.yaml', { name: 'shop', expose: { basePort: ports.base } })
  await other.program.ok(['up', spec, '--hosts', 'a,b,c', '-d'], { withinMs: 60_000 })
  const seen = await Promise.all([one, other].map(status))
  expect(seen.map(({ controller }) => controller.lease).sort()).toEqual(['held', 'lost'])
  expect(new Set(seen.map(({ controller }) => `${controller.id} ${controller.epoch}`)).size).toBe(1)
}, 90_000)

test('a wish at the one that stands by is carried out by the other', async () => {
  const standing = (await acting()) === one ? other : one
  await standing.program.ok(['switchover', 'shop', 'shard-1', '--yes'], { withinMs: 30_000 })
  await eventually(async () => (await status(one)).ready === 'yes' && (await status(other)).ready === 'yes', {
    withinMs: 15_000,
    what: 'both see it ready',
  })
}, 60_000)

test('the one that acts is killed with its host: the other acts within five seconds, and nothing is lost', async () => {
  const dead = (await acting()) ?? one
  const alive = dead === one ? other : one
  const host = dead === one ? 'a' : 'b'
  const before = await status(alive)
  const killedAt = performance.now()
  dead.running.signal('SIGKILL')
  agents.get(host)?.running.signal('SIGKILL')
  for (const { pid } of processesIn(etcdDirectory(host))) process.kill(pid, 'SIGKILL')
  const after = await eventually(
    async () => {
      const seen = await status(alive)
      if (seen.controller.lease !== 'held') throw new Error(`${seen.controller.lease}: ${seen.because}`)
      return seen
    },
    { withinMs: 15_000, everyMs: 50, what: 'the other acts' },
  )
  console.log(`taken over after ${Math.round(performance.now() - killedAt)} ms`)
  expect(after.controller.epoch).toBeGreaterThan(before.controller.epoch)
  expect(after.specRevision).toBe(before.specRevision)
  await alive.program.ok(['pause', 'shop', '--because', 'to see whether it is written', '--yes'], { withinMs: 20_000 })
  await alive.program.ok(['resume', 'shop'], { withinMs: 20_000 })
}, 60_000)

test('with one member of etcd left nobody acts, and what is seen is still told', async () => {
  const alive = (await acting()) ?? other
  const gone = 'c'
  agents.get(gone)?.running.signal('SIGKILL')
  for (const { pid } of processesIn(etcdDirectory(gone))) process.kill(pid, 'SIGKILL')
  const seen = await eventually(
    async () => {
      const now = await status(alive)
      if (now.controller.lease !== 'none') throw new Error(`${now.controller.lease}: ${now.because}`)
      return now
    },
    { withinMs: 15_000, what: 'nobody acts' },
  )
  expect(seen.because).toContain('the store does not answer')
  expect(seen.nodes).toHaveLength(6)
  await alive.program.refused('UNREACHABLE_STORE', ['pause', 'shop', '--because', 'x', '--yes'])
}, 60_000)
