import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FaultEnvelope, FaultName } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import type { FaultRecord } from '../../src/host/faults/fault-file.ts'
import { faultPath, readFault, writeFault } from '../../src/host/faults/fault-file.ts'
import type { FaultHost } from '../../src/host/faults/fault-host.ts'
import { LocalFaults } from '../../src/host/faults/local-faults.ts'
import type { HostPort } from '../../src/host/host.ts'
import { readProcess } from '../../src/proc.ts'
import { serveAgent } from '../agent/agent.ts'

/* Processes that only sleep stand for engines: what a fault may hit is decided by pid, start time and directory. */
let root: string
let here: LocalFaults
let faults: FaultHost
let close: () => Promise<void>
let refusal: HoldfastError | null
const children: ChildProcess[] = []
const node = { id: 'node-1', hostId: 'local', shard: 'shard-1', host: '127.0.0.1', port: 1 }

beforeEach(() => {
  close = async () => {}
  root = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-faults-')))
  mkdirSync(join(root, 'node-1', 'data'), { recursive: true })
  refusal = null
  here = new LocalFaults({
    clock: systemClock,
    home: root,
    directory: join(root, 'faults'),
    nodeDir: (_, id) => join(root, id),
    enter: () => () => {
      if (refusal !== null) throw refusal
    },
    binary: async () => ({ server: '/nowhere', env: {} }) as never,
    secrets: () => ({}),
    log: pino({ level: 'silent' }),
  })
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit')
  }
  await close()
  rmSync(root, { recursive: true, force: true })
})

async function sleeper(cwd: string): Promise<number> {
  const child = spawn('sleep', ['60'], { cwd, stdio: 'ignore' })
  children.push(child)
  await once(child, 'spawn')
  return child.pid ?? 0
}

const patience = { timeout: 10_000 }
const known = { nodes: [node], network: { clients: [1], engines: [], drilledFrom: [] }, controller: null }

const order = (fault: FaultName, pid: number, notAfter = faults.now() + 10_000): FaultEnvelope => ({
  deployment: 'shop',
  controllerEpoch: 1,
  notAfter,
  order: {
    id: 'f-1',
    deployment: 'shop',
    fault,
    forMs: 60_000,
    because: fault,
    targets: [{ ...node, role: 'primary', pid }],
  },
})

const stateOf = (pid: number): string | undefined => readProcess(pid)?.state

/** All that the door of an agent asks of it here is its clock. */
const idle = {
  id: 'a',
  now: () => systemClock.now(),
  onExit: () => {},
  onJobEnd: () => {},
  look: async () => new Map(),
  lookAtSentinels: async () => new Map(),
  lookAtProxy: async () => null,
} satisfies Partial<HostPort> as unknown as HostPort

/** What the faults of this machine promise, those of another keep. */
async function behindTheDoor(): Promise<FaultHost> {
  const agent = await serveAgent(idle, systemClock, 'boot-1', here)
  close = () => agent.close()
  const remote = agent.reach()
  const isHeard = (): Promise<boolean> =>
    remote.look('shop', []).then(
      () => true,
      () => false,
    )
  await expect.poll(isHeard, patience).toBe(true)
  return remote.faults
}

describe.each([
  ['on this machine', async (): Promise<FaultHost> => here],
  ['behind the door of an agent', behindTheDoor],
] as const)('%s', (_, open) => {
  beforeEach(async () => {
    faults = await open()
  })

  describe('a fault hits the engine of its node, and nobody else', () => {
    test('not a process that works elsewhere', async () => {
      const pid = await sleeper(root)
      await expect(faults.inject(order('kill-primary', pid), known)).rejects.toMatchObject({
        code: 'REFUSED_UNSAFE',
        message: `process ${pid} is not the engine of node-1: nothing was done. Look again with "holdfast status".`,
      })
      expect(stateOf(pid)).toBe('S')
      expect(existsSync(join(root, 'faults'))).toBe(false)
    })

    test('and hits it', async () => {
      const pid = await sleeper(join(root, 'node-1', 'data'))
      const seen = await faults.inject(order('kill-primary', pid), known)
      await expect.poll(() => ['Z', undefined].includes(stateOf(pid)), patience).toBe(true)
      expect(seen.healedAt).not.toBeNull()
      expect(await faults.seen('shop')).toEqual([seen])
    })

    test('not the process of another node, and not one that is gone', async () => {
      mkdirSync(join(root, 'node-2', 'data'), { recursive: true })
      const other = await sleeper(join(root, 'node-2', 'data'))
      await sleeper(join(root, 'node-1', 'data'))
      for (const pid of [other, process.pid, 1, 0x7ffffff]) {
        await expect(faults.inject(order('freeze', pid), known)).rejects.toMatchObject({ code: 'REFUSED_UNSAFE' })
      }
      expect(stateOf(other)).toBe('S')
    })

    test('not one that was given the pid since: a process is its pid and its start time', async () => {
      const pid = await sleeper(join(root, 'node-1', 'data'))
      const { id } = await faults.inject(order('freeze', pid), known)
      expect(stateOf(pid)).toBe('T')
      const path = faultPath(join(root, 'faults'), id)
      const record = readFault(path) as FaultRecord
      process.kill(record.keeper.pid, 'SIGKILL')
      await expect.poll(() => stateOf(record.keeper.pid), patience).toBeUndefined()
      const [target] = record.scene.targets
      if (target === undefined) throw new Error('no target')
      writeFault(path, {
        ...record,
        scene: { ...record.scene, targets: [{ ...target, startTime: target.startTime - 1 }] },
      })
      expect((await faults.heal('shop', id)).healedAt).not.toBeNull()
      // By its own record it was somebody else, so nobody woke it.
      expect(stateOf(pid)).toBe('T')
    })

    test('an order that the agent does not let in, or that comes too late, is not done', async () => {
      const pid = await sleeper(join(root, 'node-1', 'data'))
      refusal = new HoldfastError('REFUSED_STALE_EPOCH', 'epoch 1 is over')
      await expect(faults.inject(order('kill-primary', pid), known)).rejects.toMatchObject({
        code: 'REFUSED_STALE_EPOCH',
      })
      refusal = null
      await expect(faults.inject(order('freeze', pid, faults.now() - 1), known)).rejects.toMatchObject({
        code: 'REFUSED_DRILL',
        message: 'freeze could not be done: it came too late: nothing was done',
      })
      expect(stateOf(pid)).toBe('S')
      expect(readdirSync(join(root, 'faults'))).toEqual([])
    })
  })

  describe('what is written down', () => {
    test('is enough to heal it, and holds no password', async () => {
      const pid = await sleeper(join(root, 'node-1', 'data'))
      const { id } = await faults.inject(order('freeze', pid), known)
      const record = readFault(faultPath(join(root, 'faults'), id)) as FaultRecord
      expect(Object.keys(record)).toEqual([
        'order',
        'scene',
        'keeper',
        'bootId',
        'injectedAt',
        'healsAt',
        'healedAt',
        'trouble',
      ])
      expect(record.healsAt - record.injectedAt).toBeGreaterThanOrEqual(60_000)
      process.kill(record.keeper.pid, 'SIGKILL')
      await expect.poll(() => stateOf(record.keeper.pid), patience).toBeUndefined()
      await faults.heal('shop', id)
      await expect.poll(() => stateOf(pid), patience).toBe('S')
      expect(await faults.seen('shop')).toMatchObject([{ id, targets: ['node-1'], trouble: null }])
      expect(await faults.seen('orders')).toEqual([])
    })

    test('after a restart of the machine nobody is signalled, and the fault is over', async () => {
      const pid = await sleeper(join(root, 'node-1', 'data'))
      const { id } = await faults.inject(order('freeze', pid), known)
      const path = faultPath(join(root, 'faults'), id)
      const record = readFault(path) as FaultRecord
      process.kill(record.keeper.pid, 'SIGKILL')
      // As if keeper and target were processes of an earlier boot: their pids are somebody else's now.
      writeFault(path, {
        ...record,
        bootId: 'another',
        keeper: { pid: process.pid, startTime: readProcess(process.pid)?.startTime ?? 0 },
      })
      expect((await faults.heal('shop', id)).healedAt).not.toBeNull()
      expect(stateOf(pid)).toBe('T')
    })
  })
})
