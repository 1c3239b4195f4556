import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Action, AgentTerms } from '@holdfast/core'
import {
  engineUsers,
  layOut,
  newSecrets,
  nodePaths,
  ownedDirectives,
  parseSpec,
  renderConfig,
  renderUsers,
} from '@holdfast/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Echo } from '../../packages/control/src/agent/ask-alive.ts'
import { SelfFence } from '../../packages/control/src/agent/self-fence.ts'
import { systemClock } from '../../packages/control/src/clock.ts'
import { EngineLink } from '../../packages/control/src/engine/link.ts'
import { LocalHost } from '../../packages/control/src/host/local.ts'
import { processesIn } from '../../packages/control/src/proc.ts'
import { suspendClock } from '../../packages/control/src/suspend-clock.ts'
import { findTestEngine, freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'

/* One engine, its agent, and the network around them, which is cut and mended by a word. */

const binary = await findTestEngine()
const directory = mkdtempSync(join(tmpdir(), 'holdfast-fence-'))
const spec = parseSpec({
  name: 'alone',
  topology: 'standalone',
  memory: { maxPerNode: '64mb' },
  expose: { basePort: await freePorts(1) },
})
const [place] = layOut(spec)
if (place === undefined) throw new Error('a deployment without a node')
const secrets = newSecrets(() => 'secret')
const admin = { username: engineUsers.admin, password: 'secret' }
const nodeDir = (_: string, node: string): string => join(directory, node)
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const files = {
  config: renderConfig({ spec, node: place, secrets, engine: binary, dir: nodeDir('', place.id) }),
  users: renderUsers({ spec, secrets, engine: binary, sha256 }),
}
const terms = new Map<string, AgentTerms>([
  [
    spec.name,
    {
      engine: {},
      admin,
      owned: [],
      hosts: ['a', 'b', 'c'].map((name) => ({ name, address: '127.0.0.1', port: 1 })),
      leaseAfterMs: 400,
    },
  ],
])

let host: LocalHost
let watch: SelfFence
/** What the other hosts' agents answer. */
let echo: Echo = 'heard'
const client = new EngineLink({ ...place, ...admin, name: 'somebody' })

const silent = () => undefined

function startAgent(): void {
  host = new LocalHost({
    id: 'a',
    clock: systemClock,
    binary: () => Promise.resolve(binary),
    proxyProgram: () => Promise.reject(new Error('there is none here')),
    memoryDir: join(directory, 'agent'),
    nodeDir,
    admin: () => admin,
    ownedDirectives: () => Object.keys(ownedDirectives(spec, { engine: binary })),
  })
  const log = { debug: silent, info: silent, warn: silent, error: silent }
  watch = new SelfFence({ host, terms, ask: async () => echo, now: suspendClock, boot: 'boot-1', log })
}

function stopAgent(): void {
  watch.close()
  host.close()
}

const act = (action: Action, controllerEpoch: number) =>
  host.act({ deployment: spec.name, controllerEpoch, notAfter: host.now() + 3000, action })
const seen = async () => (await host.look(spec.name, [place])).get(place.id)
const write = () => client.command(['SET', 'key', 'value'], 500)
const start: Action = { kind: 'start', node: place.id, files, unclustered: true }
const fenced = () => expect(write()).rejects.toThrow(/NOREPLICAS/)
const processes = () => processesIn(nodePaths(nodeDir('', place.id)).data)

beforeAll(async () => {
  startAgent()
  await seen()
  await act(start, 1)
  await eventually(() => write())
})

afterAll(async () => {
  stopAgent()
  client.close()
  for (const { pid } of processes()) process.kill(pid, 'SIGKILL')
  await eventually(() => processes().length === 0)
  rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
})

test('an agent that is alone lets its engines take no writes, until a newer epoch lets them', async () => {
  echo = 'reached'
  await eventually(fenced)
  // Reads go on, on the same connection, and what waits for a write is told at once.
  expect(await client.command(['GET', 'key'])).toBe('value')
  await expect(client.command(['EVAL', "return redis.call('SET', 'key', '1')", '0'])).rejects.toThrow(/NOREPLICAS/)
  const fence = (await seen())?.fence
  expect(fence).toMatchObject({ epoch: 1, reason: expect.stringMatching(/^no controller for .*, and 0 of 2 other/) })
  // It is no drift, and what is set meanwhile does not lift it.
  await eventually(async () => expect((await seen())?.config?.['min-replicas-to-write']).toBe('0'))
  await act({ kind: 'configure', node: place.id, set: { 'min-replicas-to-write': '0' }, files }, 1)
  await fenced()
  expect((await seen())?.written?.['min-replicas-to-write']).toBe('0')
  await expect(act({ kind: 'lift-fence', node: place.id, epoch: 1 }, 1)).rejects.toMatchObject({
    code: 'REFUSED_STALE_EPOCH',
  })
  await fenced()
})

test('a fence outlives its agent, and its engine, whoever starts that again', async () => {
  stopAgent()
  startAgent()
  await seen()
  await fenced()
  for (const { pid } of processes()) process.kill(pid, 'SIGKILL')
  await eventually(() => processes().length === 0)
  // A supervisor that knows the file alone, before the agent has looked.
  stopAgent()
  const { data, config } = nodePaths(nodeDir('', place.id))
  spawn(binary.server, [config], {
    cwd: data,
    env: { ...process.env, ...binary.env },
    detached: true,
    stdio: 'ignore',
  }).unref()
  await eventually(fenced)
  startAgent()
  await seen()
  for (const { pid } of processes()) process.kill(pid, 'SIGKILL')
  await eventually(() => processes().length === 0)
  await eventually(() => act(start, 2).then(() => true))
  await eventually(fenced)
})

test('a newer epoch lifts it; an agent that hears most others, or its controller, sets none', async () => {
  echo = 'heard'
  // As long as it thinks itself alone, it would fence again what is lifted.
  await eventually(() => !watch.hearing().isAlone)
  await eventually(() => act({ kind: 'lift-fence', node: place.id, epoch: 1 }, 2).then(() => true))
  await write()
  expect((await seen())?.fence).toBeNull()
  await eventually(async () => expect((await seen())?.config?.['min-replicas-to-write']).toBe('0'))
  // Its controller's word counts from when it was heard, and in the newest epoch only.
  const hold = (epoch: number) => {
    const { now } = watch.askedBy('b')
    return watch.heldBy({ boot: 'boot-1', heard: now, epochs: { [spec.name]: epoch } })
  }
  const began = suspendClock()
  echo = 'silence'
  while (suspendClock() - began < 800) {
    hold(2)
    await write()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  hold(1)
  await eventually(fenced)
})
