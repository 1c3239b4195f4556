/*
 * Three agents with homes of their own, each at an address of its own of the loopback: they share a kernel, and nothing
 * else. What network namespaces add to that is in test/chaos.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import type { FaultName, FaultSeen, FaultWish, Status, UserAccess } from '@holdfast/core'
import { errorTable } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EngineLink } from '../../packages/control/src/engine/link.ts'
import type { HostLooked, JoinedHost } from '../../packages/control/src/hosts/desk.ts'
import { tagOf } from '../../packages/control/src/ledger/probe.ts'
import { readProcess } from '../../packages/control/src/proc.ts'
import type { BackupsListed } from '../../packages/control/src/server/platform.ts'
import { brokenTruths, reportIn } from '../support/drilled.ts'
import { freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import type { Running } from '../support/program.ts'
import { Program } from '../support/program.ts'

const controller = new Program()
const agents = new Map<string, { readonly program: Program; readonly address: string; running: Running }>()
let ports: { readonly door: number; readonly agent: number; readonly base: number }

beforeAll(async () => {
  const base = await freePorts(14)
  ports = { door: base + 6, agent: base + 7, base }
  const serving = controller.start(['serve', '--address', '127.0.0.10', '--join-port', String(ports.door)], {
    withinMs: 600_000,
  })
  await eventually(() => serving.stderr().includes('panel http'), { what: 'the controller serves', withinMs: 30_000 })
  await Promise.all(['a', 'b', 'c'].map((name, index) => enrol(name, `127.0.0.1${index + 1}`)))
})

afterAll(async () => {
  await Promise.all([controller, ...[...agents.values()].map(({ program }) => program)].map((one) => one.close()))
})

async function enrol(name: string, address: string): Promise<void> {
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

const status = (name = 'shop'): Promise<Status> => controller.ask<Status>(`/deployments/${name}`)

async function bringUp(name: string, basePort: number, args: readonly string[]): Promise<void> {
  const spec = controller.file(`${name}.yaml`, { name, replicasPerShard: 0, expose: { basePort } })
  await controller.ok(['up', spec, ...args, '-d'], { withinMs: 120_000 })
}

/** Asks the primary of each shard, as the application, with a tag whose keys belong there. */
async function inEach<T>(name: string, ask: (link: EngineLink, tag: string) => Promise<T>): Promise<T[]> {
  const { nodes, shards } = await status(name)
  const { user, password, authority = null } = await controller.ask<UserAccess>(`/deployments/${name}/credentials`)
  return Promise.all(
    shards.map(async ({ primary, slots }) => {
      const { host = '', port = 0 } = nodes.find(({ id }) => id === primary) ?? {}
      const target = { address: host, port, username: user, password, authority: () => authority, name: 'somebody' }
      const link = new EngineLink(target)
      try {
        return await ask(link, tagOf(slots) ?? '')
      } finally {
        link.close()
      }
    }),
  )
}

const keysOf = (tag: string): string[] => Array.from({ length: 500 }, (_, index) => `${tag}:${index}`)
const valueOf = (key: string): string => key.repeat(200)

async function fill(link: EngineLink, tag: string): Promise<void> {
  await link.pipeline(keysOf(tag).map((key) => ['SET', key, valueOf(key)]))
}

async function holds(link: EngineLink, tag: string): Promise<boolean> {
  const found = await link.command(['MGET', ...keysOf(tag)])
  expect(found).toEqual(keysOf(tag).map(valueOf))
  return true
}

/** The engines that run, on whichever host. */
const enginesOf = (name: string): Readonly<Record<string, number>> =>
  Object.assign({}, ...[...agents.values()].map(({ program }) => program.engines(name)))
const faults = async (): Promise<readonly FaultSeen[]> =>
  (await controller.ask<{ faults: FaultSeen[] }>('/deployments/shop/faults')).faults
async function inject(fault: FaultName, wish: Partial<FaultWish> = {}): Promise<FaultSeen> {
  const { url, token } = controller.controller() ?? {}
  const answer = await fetch(`${url}/api/v1/deployments/shop/faults`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ fault, ...wish }),
  })
  if (!answer.ok) throw new Error(await answer.text())
  return (await answer.json()) as FaultSeen
}
async function healed(id: string): Promise<void> {
  const found = async (): Promise<FaultSeen | undefined> => (await faults()).find((one) => one.id === id)
  await eventually(async () => (await found())?.healedAt != null, { what: 'healed', withinMs: 30_000 })
  expect(await found()).toMatchObject({ trouble: null })
}
/** A fault begins on a deployment that is in sync, and it may have been another fault that came before. */
const inSync = <T>(begin: () => Promise<T>): Promise<T> =>
  eventually(begin, { what: 'in sync, and hurt', withinMs: 30_000, everyMs: 500 })
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
      await controller.ok(['remove-host', 'd', '--yes'])
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
    const spec = controller.file('shop.yaml', { name: 'shop', drills: 'yes', expose: { basePort: ports.base } })
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

  test('engines outlive their agent, which a fault kills, and the next one finds them', async () => {
    const b = agents.get('b')
    if (b === undefined) throw new Error('b has joined')
    const before = b.program.engines('shop')
    const { id } = await inSync(() => inject('kill-agent', { node: 'node-2', forMs: 1000 }))
    await b.running.ended
    await healed(id)
    await eventually(async () => (await hosts()).every(({ state }) => state === 'here'), { what: 'b is back' })
    await eventually(async () => (await status()).ready === 'yes', { what: 'all is well', withinMs: 30_000 })
    expect(b.program.engines('shop')).toEqual(before)
  })

  test('an agent that is frozen wakes by itself', async () => {
    const c = agents.get('c')?.running.pid ?? 0
    const { id } = await inSync(() => inject('freeze-agent', { node: 'node-3', forMs: 1000 }))
    await eventually(() => readProcess(c)?.state === 'T', { what: 'the agent of c is stopped' })
    await healed(id)
    expect(readProcess(c)?.state).not.toBe('T')
  })

  test('a drill kills a primary on another host, and its promises are kept', async () => {
    const command = ['drill', 'shop', 'kill-primary', '--clients', 'cache', '--yes', '--json']
    const { stdout } = await inSync(async () => {
      const ended = await controller.run(command, { withinMs: 120_000 })
      if (ended.code === errorTable.REFUSED_DRILL.exit) throw new Error(ended.stderr)
      return ended
    })
    expect(brokenTruths(reportIn(stdout))).toEqual([])
  })

  test('a freeze lasts on its own host, and is healed there', async () => {
    const { id, targets } = await inject('freeze', { forMs: 1000 })
    const pid = enginesOf('shop')[targets[0] ?? ''] ?? 0
    expect(readProcess(pid)?.state).toBe('T')
    await healed(id)
    expect(readProcess(pid)?.state).not.toBe('T')
    await eventually(async () => (await status()).ready === 'yes', { what: 'all is well', withinMs: 30_000 })
  })

  test('all nodes are killed on three hosts at the same moment, as one fault', async () => {
    const before = Object.values(enginesOf('shop'))
    const { targets } = await inject('kill-all')
    expect(targets).toHaveLength(6)
    await eventually(() => Object.values(enginesOf('shop')).every((pid) => !before.includes(pid)), { what: 'killed' })
    const names: FaultName[] = ['kill-all', 'freeze', 'kill-primary', 'freeze-agent', 'kill-agent']
    expect((await faults()).map(({ fault }) => fault)).toEqual(names)
    await eventually(async () => (await status()).ready === 'yes', { what: 'all is well', withinMs: 30_000 })
  })

  test('a host that carries something is not let go unasked: what lives there is said first', async () => {
    expect(await controller.refused('REFUSED_NOT_CONFIRMED', ['remove-host', 'a'])).toContain('node-')
    expect((await hosts()).map(({ name }) => name)).toContain('a')
  })

  describe('and its backups', () => {
    /** Where the last one is. */
    let taken = ''

    test('are brought here from all hosts, loaded for trial, and nothing of them stays there', async () => {
      await inEach('shop', fill)
      const { stdout } = await controller.ok(['backup', 'shop'], { withinMs: 60_000 })
      expect(stdout).toMatch(/^backup on 127\.0\.0\.10, .*verified: shard-1: 500 keys/)
      const { directory, backups } = await controller.ask<BackupsListed>('/deployments/shop/backups')
      expect(backups).toMatchObject([{ state: 'verified', keys: 3 * 500 }])
      taken = join(directory, backups[0]?.id ?? '')
      expect(readdirSync(directory)).toEqual([backups[0]?.id])
      const left = (): string[] =>
        [...agents.values()].flatMap(({ program }) =>
          Object.keys(program.engines('shop')).filter((node) =>
            existsSync(join(program.home.node('shop', node), 'backup')),
          ),
        )
      await eventually(() => left().length === 0, { what: 'what was collected is gone from the hosts' })
    })

    test('are restored into another one on the hosts that are left, when one is lost', async () => {
      const c = agents.get('c')
      if (c === undefined) throw new Error('c has joined')
      for (const pid of [c.running.pid, ...Object.values(c.program.engines('shop'))]) process.kill(pid, 'SIGKILL')
      await c.running.ended
      try {
        await bringUp('copy', ports.base + 8, ['--hosts', 'a,b'])
        await controller.ok(['restore', 'copy', '--from', taken, '--yes'], { withinMs: 60_000 })
        expect(await inEach('copy', holds)).toEqual([true, true, true])
      } finally {
        c.running = c.program.start(['agent'], { withinMs: 600_000 })
      }
    })

    test('are restored on this machine, where no host is needed any more', async () => {
      await bringUp('here', ports.base + 11, [])
      await controller.ok(['restore', 'here', '--from', taken, '--yes'], { withinMs: 60_000 })
      expect(await inEach('here', holds)).toEqual([true, true, true])
    })
  })

  test('goes down, with its data', async () => {
    await controller.ok(['down', 'shop', '--purge', '--yes'], { withinMs: 60_000 })
    for (const { program } of agents.values()) expect(program.engines('shop')).toEqual({})
  })
})
