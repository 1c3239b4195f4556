/*
 * Three agents with homes of their own, each at an address of its own of the loopback: they share a kernel, and nothing
 * else. What network namespaces add to that is in test/chaos.
 */
import { existsSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import type { Status } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HostLooked, JoinedHost } from '../../packages/control/src/hosts/desk.ts'
import { freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import type { Running } from '../support/program.ts'
import { Program } from '../support/program.ts'

const controller = new Program()
const agents = new Map<string, { readonly program: Program; readonly address: string; running: Running }>()
let ports: { readonly door: number; readonly agent: number; readonly base: number }

beforeAll(async () => {
  const base = await freePorts(8)
  ports = { door: base + 6, agent: base + 7, base }
  const serving = controller.start(['serve', '--address', '127.0.0.10', '--join-port', String(ports.door)], {
    withinMs: 600_000,
  })
  await eventually(() => serving.stderr().includes('panel http'), { what: 'the controller serves', withinMs: 30_000 })
  await Promise.all(['a', 'b', 'c'].map((name, index) => join(name, `127.0.0.1${index + 1}`)))
})

afterAll(async () => {
  await Promise.all([controller, ...[...agents.values()].map(({ program }) => program)].map((one) => one.close()))
})

async function join(name: string, address: string): Promise<void> {
  const program = new Program()
  const { stdout } = await controller.ok(['token', '--host', name, '--zone', `z-${name}`])
  const running = program.start(['agent', '--token', '-', '--address', address, '--port', String(ports.agent)], {
    withinMs: 600_000,
  })
  running.type(stdout)
  agents.set(name, { program, address, running })
  await eventually(() => running.stderr().includes(`agent of ${name}`), {
    what: `${name} has joined`,
    withinMs: 30_000,
  })
}

const status = (): Promise<Status> => controller.ask<Status>('/deployments/shop')
const hosts = async (): Promise<readonly JoinedHost[]> =>
  (await controller.ask<{ hosts: JoinedHost[] }>('/hosts')).hosts

describe('joining', () => {
  test('each is here, at its address and in its zone', async () => {
    await eventually(async () => (await hosts()).every(({ state }) => state === 'here'), { what: 'all are heard' })
    const found = (await hosts()).map(({ name, address, zone }) => `${name} ${address} ${zone}`).sort()
    expect(found).toEqual(['a 127.0.0.11 z-a', 'b 127.0.0.12 z-b', 'c 127.0.0.13 z-c'])
  })

  test('one of them is shown with what its machine is', async () => {
    const { stdout } = await controller.ok(['hosts', 'a'])
    expect(stdout).toMatch(/^a {3}here {3}zone z-a\nagent {4}127\.0\.0\.11:\d+, joined 20/)
    expect(stdout).toMatch(/\nmemory {3}[\d.]+ GB, .*free\n/)
    const { facts, findings } = await controller.ask<HostLooked>('/hosts/a')
    expect(facts).toMatchObject({
      cores: cpus().length,
      boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    })
    expect(findings.filter(({ about }) => about === 'clock')).toEqual([])
    await controller.refused('NOT_FOUND', ['hosts', 'nobody'])
  })

  test('a token is good once, and a line that is none is none', async () => {
    const { stdout } = await controller.ok(['token', '--host', 'd'])
    const at = ['--address', '127.0.0.14', '--port', String(ports.agent)]
    const first = new Program()
    const second = new Program()
    try {
      const running = first.start(['agent', '--token', stdout.trim(), ...at])
      await eventually(() => running.stderr().includes('agent of d'), { what: 'd has joined', withinMs: 30_000 })
      running.signal('SIGTERM')
      await running.ended
      await second.refused('AUTH_REQUIRED', ['agent', '--token', stdout.trim(), ...at])
      await second.refused('USAGE', ['agent', '--token', 'hfj_abc', ...at])
      await controller.ok(['remove-host', 'd'])
      expect((await hosts()).map(({ name }) => name)).not.toContain('d')
    } finally {
      await Promise.all([first.close(), second.close()])
    }
  })

  test('a host that has not joined is told of before anything starts', async () => {
    const spec = controller.file('far.yaml', { name: 'far', hosts: [{ name: 'x', address: '127.0.0.99' }] })
    expect(await controller.refused('NOT_FOUND', ['plan', spec])).toContain('x has not joined')
  })
})

describe('a Cluster over three hosts', () => {
  test('comes up with both copies of a shard on two of them', async () => {
    const spec = controller.file('shop.yaml', { name: 'shop', expose: { basePort: ports.base } })
    await controller.ok(['up', spec, '--hosts', 'a,b,c', '-d'], { withinMs: 120_000 })
    const { nodes } = await status()
    const perHost = ['a', 'b', 'c'].map((name) => nodes.filter(({ hostId }) => hostId === name).length)
    expect(perHost).toEqual([2, 2, 2])
    for (const shard of ['shard-1', 'shard-2', 'shard-3']) {
      expect(new Set(nodes.filter((node) => node.shard === shard).map(({ hostId }) => hostId)).size).toBe(2)
    }
    for (const { program } of agents.values()) expect(Object.keys(program.engines('shop'))).toHaveLength(2)
    expect(existsSync(controller.home.deployment('shop'))).toBe(false)
  })

  test('a primary that is killed is taken over from another host, and comes back as its replica', async () => {
    const engines = agents.get('a')?.program.engines('shop') ?? {}
    process.kill(engines['node-1'] ?? 0, 'SIGKILL')
    await eventually(
      async () => {
        const { shards, ready } = await status()
        return ready === 'yes' && shards[0]?.primary !== 'node-1'
      },
      { what: 'another is primary, and all is well', withinMs: 30_000 },
    )
  })

  test('engines outlive their agent, and the next agent finds them', async () => {
    const b = agents.get('b')
    if (b === undefined) throw new Error('b has joined')
    const before = b.program.engines('shop')
    b.running.signal('SIGKILL')
    await b.running.ended
    await eventually(async () => (await hosts()).some(({ state }) => state === 'away'), { what: 'b is away' })
    b.running = b.program.start(['agent'], { withinMs: 600_000 })
    await eventually(async () => (await status()).ready === 'yes', { what: 'all is well', withinMs: 30_000 })
    expect(b.program.engines('shop')).toEqual(before)
  })

  test('a host that carries something is not removed, and neither backup nor fault is promised', async () => {
    expect(await controller.refused('REFUSED_UNSAFE', ['remove-host', 'a'])).toContain('node-')
    await controller.refused('REFUSED_UNSAFE', ['backup', 'shop'])
  })

  test('goes down, with its data', async () => {
    await controller.ok(['down', 'shop', '--purge', '--yes'], { withinMs: 60_000 })
    for (const { program } of agents.values()) expect(program.engines('shop')).toEqual({})
  })
})
