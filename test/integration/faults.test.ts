import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { FaultName, FaultSeen, FaultWish } from '@holdfast/core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { processesIn, readProcess } from '../../packages/control/src/proc.ts'
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
    eventually(() => it.controller.faults(it.name).find((fault) => fault.id === id)?.healedAt ?? false, {
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
})
