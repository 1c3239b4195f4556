import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FaultName, FaultSeen, FaultWish } from '@holdfast/core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { processesIn, readProcess } from '../../packages/control/src/proc.ts'
import { releaseDrillLock, takeDrillLock } from '../../packages/control/src/store/drill-lock.ts'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

const wishFor = (fault: FaultName, more: Partial<FaultWish> = {}): FaultWish => ({
  fault,
  forMs: null,
  node: null,
  onProduction: null,
  drill: null,
  ...more,
})

/* One deployment for all: each fault is injected, seen in effect, and over by itself; then it is ready again. */
describe('a fault is there, and over by itself', () => {
  let it: TestDeployment

  beforeAll(async () => {
    it = await TestDeployment.up({ drills: 'yes' })
  })

  afterAll(async () => {
    await it?.close()
  })

  afterEach(async () => {
    await readyAgain()
  })

  /** Ready, and every node's only process is the one that Holdfast knows. */
  async function readyAgain(): Promise<void> {
    await eventually(
      () => {
        const { ready, because, nodes } = it.status()
        if (ready !== 'yes') throw new Error(`${ready}: ${because}`)
        for (const { id, pid } of nodes) {
          const found = processesIn(it.place.dataDir(it.name, id)).map((process) => process.pid)
          if (found.join() !== String(pid)) throw new Error(`${id} is ${pid}, there are ${found.join()}`)
        }
      },
      { withinMs: 30_000, what: 'ready, with one process a node' },
    )
  }

  const inject = (fault: FaultName, more: Partial<FaultWish> = {}): Promise<FaultSeen> =>
    it.controller.injectFault(it.name, wishFor(fault, more), 'test')

  const isOver = (id: string) =>
    eventually(async () => (await it.controller.faults(it.name)).find((fault) => fault.id === id)?.healedAt ?? false, {
      withinMs: 20_000,
      what: 'healed',
    })

  const healed = async ({ id, injectedAt }: FaultSeen): Promise<number> => Number(await isOver(id)) - injectedAt

  test.each([
    ['kill-primary', 1],
    ['kill-replica', 1],
    ['kill-two', 2],
    ['kill-all', 6],
  ] as const)('%s ends %i processes, which Holdfast starts again', async (fault, count) => {
    const [before, mark] = [it.status().nodes, it.mark]
    const { targets, because } = await inject(fault)
    expect(targets).toHaveLength(count)
    const killed = before.filter(({ id }) => targets.includes(id))
    await eventually(() => killed.every(({ pid }) => readProcess(Number(pid)) === undefined))
    const role = fault === 'kill-replica' ? 'replica' : 'primary'
    expect(count === 6 || killed.every((node) => node.role === role)).toBe(true)
    expect(it.told('drill', mark)).toEqual([because])
    await eventually(() => killed.every(({ id, pid }) => it.node(id).pid !== pid && it.node(id).pid !== null))
  })

  test('a freeze ends by its own timer, and the process that was stopped goes on', async () => {
    const mark = it.mark
    const fault = await inject('freeze', { forMs: 1000, node: it.primaryOf('shard-2').id })
    const pid = it.pidOf(fault.targets[0] ?? '')
    expect(readProcess(pid)?.state).toBe('T')
    expect(await healed(fault)).toBeGreaterThanOrEqual(1000)
    expect(readProcess(pid)?.state).not.toBe('T')
    await eventually(() => it.told('drill', mark).length === 2)
    expect(it.told('drill', mark)[1]).toMatch(
      /^healed after [\d.]+ m?s: SIGSTOP to node-\d \(primary of shard-2\), for 1 s$/,
    )
  })

  test('a freeze is stopped before its time, and stopping it twice does no harm', async () => {
    const { id, targets } = await inject('freeze', { forMs: 60_000 })
    const pid = it.pidOf(targets[0] ?? '')
    await it.controller.healFault(it.name, id, 'somebody')
    expect(readProcess(pid)?.state).not.toBe('T')
    const { healedAt, injectedAt } = await it.controller.healFault(it.name, id, 'somebody')
    expect(Number(healedAt) - injectedAt).toBeLessThan(20_000)
    expect(
      it
        .events()
        .filter(({ cause }) => cause === id)
        .map(({ actor }) => actor),
    ).toEqual(['test', 'somebody'])
  })

  test('a busy primary burns CPU, answers nothing, and is let go', async () => {
    const fault = await inject('busy', { forMs: 3000 })
    const pid = it.pidOf(fault.targets[0] ?? '')
    const cpuMs = readProcess(pid)?.cpuMs ?? 0
    await eventually(() => (readProcess(pid)?.cpuMs ?? 0) > cpuMs + 300)
    expect(await healed(fault)).toBeGreaterThanOrEqual(3000)
    expect(await it.command(fault.targets[0] ?? '', 'PING')).toBe('PONG')
    expect(it.pidOf(fault.targets[0] ?? '')).toBe(pid)
  })

  test('a primary is full up to its maxmemory, and what filled it goes', async () => {
    const fault = await inject('memory-full', { forMs: 1500 })
    const [id = ''] = fault.targets
    const used = await usedShare(id)
    expect(used).toBeGreaterThan(0.9)
    await healed(fault)
    expect(await usedShare(id)).toBeLessThan(used - 0.2)
    expect(await it.command(id, 'KEYS', '*holdfast:drill:*')).toEqual([])
  })

  async function usedShare(id: string): Promise<number> {
    const info = String(await it.command(id, 'INFO', 'memory'))
    const read = (field: string): number => Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(info)?.[1])
    return read('used_memory') / read('maxmemory')
  }

  test('a primary that somebody else starts again without its data ends as one process that Holdfast knows', async () => {
    const primary = it.primaryOf('shard-1')
    await inject('bounce', { node: primary.id })
    await readyAgain()
    expect(it.node(primary.id).pid).not.toBe(primary.pid)
    expect(existsSync(join(it.place.home.node(it.name, primary.id), 'bounced', 'appendonlydir'))).toBe(true)
  })

  test('a storm cuts every client and brings 500 more, which leave', async () => {
    const clients = async (): Promise<number> => {
      const infos = await Promise.all(it.status().nodes.map(({ id }) => it.command(id, 'INFO', 'clients')))
      return infos.reduce((sum: number, info) => sum + Number(/connected_clients:(\d+)/.exec(String(info))?.[1]), 0)
    }
    const fault = await inject('storm', { forMs: 1500 })
    expect(await eventually(async () => (await clients()) > 500)).toBe(true)
    await healed(fault)
    await eventually(async () => (await clients()) < 100)
  })

  test('throttled writes reach the disk late, or it is said why they cannot be', async () => {
    const { order, preconditions } = await it.controller.previewFault(it.name, wishFor('slow-disk'))
    if (order === null) {
      const refused = preconditions.find(({ met }) => !met)?.because
      expect(refused).toMatch(/only root may throttle|control groups|not writable|not switched on|no disk/)
      await expect(inject('slow-disk')).rejects.toThrow(refused)
      return
    }
    const { id, targets } = await inject('slow-disk', { forMs: 60_000 })
    const [node = ''] = targets
    const groups = (): string => readFileSync(`/proc/${it.pidOf(node)}/cgroup`, 'utf8')
    const [before, delayed] = [groups(), await persistenceOf(node, 'aof_delayed_fsync')]
    expect(before).toContain(`holdfast-${id}`)
    const key = await writeHalfMegabyte(node)
    // The engine counts it when it wants to write more, and the first has not been synced for two seconds.
    await eventually(async () => {
      await it.command(node, 'SET', key, 'more')
      return (await persistenceOf(node, 'aof_delayed_fsync')) > delayed
    })
    await it.controller.healFault(it.name, id, 'test')
    expect(groups()).not.toContain('holdfast-')
    await eventually(async () => (await persistenceOf(node, 'aof_pending_bio_fsync')) === 0)
  })

  async function persistenceOf(id: string, field: string): Promise<number> {
    return Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(String(await it.command(id, 'INFO', 'persistence')))?.[1])
  }

  /** To a key in one of its own slots, whose name is answered. */
  async function writeHalfMegabyte(id: string): Promise<string> {
    const value = randomBytes(400_000).toString('base64')
    for (const key of Array.from({ length: 50 }, (_, tag) => `half:${tag}`)) {
      const isDone = await it.command(id, 'SET', key, value).then(
        () => true,
        () => false,
      )
      if (isDone) return key
    }
    throw new Error(`${id} takes no writes`)
  }
})

describe('a fault is refused', () => {
  let it: TestDeployment

  beforeAll(async () => {
    it = await TestDeployment.up({ shards: 3, replicasPerShard: 0 })
  })

  afterAll(async () => {
    await it?.close()
  })

  const refused = (fault: FaultName, more: Partial<FaultWish> = {}): Promise<string> =>
    it.controller.injectFault(it.name, wishFor(fault, more), 'test').then(
      ({ because }) => Promise.reject(new Error(`it was done: ${because}`)),
      (error: unknown) => {
        expect(error).toMatchObject({ code: 'REFUSED_DRILL' })
        return (error as Error).message
      },
    )

  test('where the deployment is not labelled for drills, unless its name is said again', async () => {
    expect(await refused('kill-primary')).toBe(
      'no kill-primary on it: it is not labelled for drills: set "drills: yes" in its spec, or say --yes-on-production it',
    )
    expect(
      (await it.controller.previewFault(it.name, wishFor('kill-primary', { onProduction: it.name }))).order,
    ).not.toBeNull()
    expect(await it.controller.faults(it.name)).toEqual([])
    expect(it.told('drill')).toEqual([])
  })

  test('on a node that does not fit, and on a disk that is not its own', async () => {
    const allowed = { onProduction: it.name }
    expect(await refused('kill-replica', { ...allowed, node: 'node-1' })).toContain('node-1 is a primary')
    expect(await refused('kill-replica', allowed)).toContain('kill-replica needs a replica in sync, and there is none')
    expect(await refused('disk-full', allowed)).toContain('and filling it would hurt the machine')
  })

  test('while another lasts, while a drill has it, and while it is not ready', async () => {
    const allowed = { onProduction: it.name }
    const first = await it.controller.injectFault(it.name, wishFor('freeze', { ...allowed, forMs: 60_000 }), 'test')
    expect(await refused('kill-primary', allowed)).toContain(`a fault lasts since`)
    await it.controller.healFault(it.name, first.id, 'test')
    await it.ready()
    takeDrillLock(it.place.home, it.name, 'd-1')
    expect(await refused('storm', allowed)).toContain('drill d-1 has it to itself')
    releaseDrillLock(it.place.home, it.name, 'd-1')
    it.kill('node-1')
    await eventually(() => it.status().ready !== 'yes')
    expect(await refused('storm', allowed)).toContain('it is not ready (')
    await it.ready()
  })
})
