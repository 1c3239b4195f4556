import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FaultName, FaultSeen, FaultWish } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Api } from '../../packages/control/src/cli/api.ts'
import { readProcess } from '../../packages/control/src/proc.ts'
import { freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import { Program } from '../support/program.ts'

/* The real program in the background: what holds a fault is killed with -9, and the fault is over all the same. */
describe('a fault is over, whoever is killed meanwhile', () => {
  const program = new Program()
  const name = 'alone'
  let spec: string

  beforeAll(async () => {
    const basePort = await freePorts(6)
    spec = program.file('alone.yaml', {
      name,
      drills: 'yes',
      memory: { maxPerNode: '96mb' },
      timeouts: { node: '1500ms' },
      expose: { basePort },
    })
    await program.ok(['up', spec, '--detach', '--port', String(await freePorts(1))])
  })

  afterAll(async () => {
    await program.close()
  })

  const api = (): Api => {
    const found = program.controller()
    if (found === undefined) throw new Error('no controller runs')
    return new Api(found.url, found.token)
  }

  const inject = (fault: FaultName, forMs: number): Promise<FaultSeen> => {
    const wish: FaultWish = { fault, forMs, node: null, onProduction: null, drill: null }
    return eventually(() => api().injectFault(name, wish), { withinMs: 30_000, what: 'injected' })
  }

  const keeperOf = (id: string): number => {
    const text = readFileSync(join(program.home.agent, 'faults', `${id}.json`), 'utf8')
    return (JSON.parse(text) as { keeper: { pid: number } }).keeper.pid
  }

  const stateOf = (pid: number | undefined): string | undefined => readProcess(pid ?? 0)?.state

  const healed = (id: string): Promise<FaultSeen> =>
    eventually(
      async () => {
        const found = (await api().faults(name)).find((fault) => fault.id === id)
        if (found?.healedAt == null) throw new Error(JSON.stringify(found))
        return found
      },
      { withinMs: 20_000, what: 'healed' },
    )

  const told = async (id: string): Promise<string[]> =>
    (await api().events(name, 1000))
      .filter(({ cause, kind }) => cause === id && kind === 'drill')
      .map(({ because }) => because)

  const ready = (): Promise<unknown> =>
    eventually(
      async () => {
        const { ready: is, because } = await api().status(name)
        if (is !== 'yes') throw new Error(because)
      },
      { withinMs: 40_000, what: 'ready' },
    )

  test('the controller is killed: the freeze ends by its own timer, and the next controller tells of it', async () => {
    const { id, targets } = await inject('freeze', 2500)
    await program.killController()
    const pid = program.engines(name)[targets[0] ?? '']
    expect(stateOf(pid)).toBe('T')
    await eventually(() => stateOf(pid) === 'S' || stateOf(pid) === 'R')
    await program.ok(['up', spec, '--detach'])
    await healed(id)
    await eventually(async () => (await told(id)).length === 2)
    expect((await told(id))[1]).toMatch(/^healed after 2\.\d s: SIGSTOP to node-\d/)
    await ready()
  })

  test('the keeper is killed: the controller heals what it has left behind', async () => {
    const { id, targets } = await inject('freeze', 60_000)
    const pid = program.engines(name)[targets[0] ?? '']
    process.kill(keeperOf(id), 'SIGKILL')
    const { trouble } = await healed(id)
    expect(trouble).toBeNull()
    expect(stateOf(pid)).not.toBe('T')
    await ready()
  })

  test('both are killed: the next controller heals', async () => {
    const { id, targets } = await inject('memory-full', 60_000)
    const keeper = keeperOf(id)
    await program.killController()
    process.kill(keeper, 'SIGKILL')
    await program.ok(['up', spec, '--detach'])
    await healed(id)
    const [node] = targets
    await eventually(async () => {
      const { memoryBytes, memoryMaxBytes } = (await api().status(name)).nodes.find((one) => one.id === node) ?? {}
      return Number(memoryBytes) < Number(memoryMaxBytes) * 0.5
    })
    await ready()
  })

  test('a killed controller is followed by one in the background, on the same port', async () => {
    const before = program.controller()
    const { id } = await inject('kill-controller', 1000)
    await eventually(() => readProcess(before?.pid ?? 0) === undefined)
    await eventually(() => program.controller() !== undefined)
    expect(program.controller()).toMatchObject({ url: before?.url })
    await healed(id)
    expect(await told(id)).toContain('SIGKILL to the controller, nobody heals, for 1 s')
    await ready()
  })

  test('with the controller away too, a dead primary is replaced by its own cluster', async () => {
    const { id, targets } = await inject('unattended', 6000)
    const [primary = ''] = targets
    await eventually(() => program.controller() === undefined && program.engines(name)[primary] === undefined)
    await eventually(() => program.controller() !== undefined, { withinMs: 20_000 })
    await healed(id)
    await ready()
    const status = await api().status(name)
    expect(status.nodes.find((node) => node.id === primary)).toMatchObject({ role: 'replica', link: 'up' })
  })
})
