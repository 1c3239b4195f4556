import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import type { AgentNodeSeen, Envelope, HoldfastError, NodePlace } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { freePorts } from '../../../../test/support/engines.ts'
import { AliveAsker } from '../../src/agent/ask-alive.ts'
import type { RemoteHost } from '../../src/agent/remote-host.ts'
import { systemClock } from '../../src/clock.ts'
import { createAuthority } from '../../src/pki/authority.ts'
import { makeMemoryWorld } from '../contract/memory-world.ts'
import { MemoryHost } from '../simulation/memory/memory-host.ts'
import type { RunningAgent } from './agent.ts'
import { credentialsOf, serveAgent, someTerms } from './agent.ts'

let world: ReturnType<typeof makeMemoryWorld>
let agent: RunningAgent

beforeEach(async () => {
  world = makeMemoryWorld(1)
  agent = await serveAgent(world.host, world.cluster.clock)
})
afterEach(() => agent.close())

const start = (node = 'node-1', notAfter = Number.MAX_VALUE): Envelope => ({
  deployment: world.deployment,
  controllerEpoch: 1,
  notAfter,
  action: { kind: 'start', node, files: { config: 'port 7001', users: '' } } as unknown as Envelope['action'],
})
/** Once it has a connection: opening one may take a busy machine longer than a look may. */
async function reached(some?: Parameters<RunningAgent['reach']>[0], of = agent): Promise<RemoteHost> {
  const remote = of.reach(some)
  const answers = (): Promise<boolean> => remote.look(world.deployment, world.nodes).then(Boolean, () => false)
  await expect.poll(answers, { timeout: 10_000 }).toBe(true)
  return remote
}
/** What it is refused with, once it was heard at all. */
const refusal = (some: Parameters<RunningAgent['reach']>[0]) =>
  expect.poll(
    () =>
      agent
        .reach(some)
        .greet()
        .catch((error: HoldfastError) => error.code),
    { timeout: 10_000 },
  )

const unreachable = { code: 'UNREACHABLE_AGENT' }

describe('who may come in', () => {
  test('another host may not: it has a certificate, and is no controller', async () => {
    const credentials = await credentialsOf({ role: 'host', name: 'b' })
    await refusal({ credentials: () => credentials }).toBe('AUTH_FORBIDDEN')
  })

  test("the controller of another home may not, nor can it be led to take another home's agent for its own", async () => {
    const credentials = await credentialsOf(
      { role: 'controller', name: 'x' },
      await createAuthority('other', Date.now()),
    )
    await expect(agent.reach({ credentials: () => credentials }).greet()).rejects.toMatchObject(unreachable)
  })

  test('a controller talks to the host that it means, and to no other at the same address', async () => {
    await refusal({ id: 'b' }).toBe('AUTH_FORBIDDEN')
  })
})

test('an agent that is greeted says what its machine is', async () => {
  const { facts } = await (await reached()).greet()
  expect(facts?.cores).toBeGreaterThan(0)
  expect(facts?.memoryBytes).toBeGreaterThan(0)
})

describe('whether it is there', () => {
  const peer = async (name = 'b') => {
    const credentials = await credentialsOf({ role: 'host', name })
    return new AliveAsker(() => credentials)
  }

  test('another host may ask, and nothing else; and that it asked is known', async () => {
    const asker = await peer()
    expect(await asker.ask({ name: world.host.id, address: '127.0.0.1', port: agent.port })).toBe('heard')
    expect(Object.keys(agent.watch.hearing().heardAgoMs)).toEqual(['b'])
    asker.close()
  })

  test('a host that has nothing of what is here is answered no more: it may have been removed', async () => {
    const remote = await reached({
      terms: () => ({ ...someTerms, hosts: [{ name: 'b', address: '10.0.0.2', port: 1 }] }),
    })
    const at = { name: world.host.id, address: '127.0.0.1', port: agent.port }
    const [known, removed] = [await peer(), await peer('c')]
    expect(await known.ask(at)).toBe('heard')
    expect(await removed.ask(at)).toBe('reached')
    expect(Object.keys(agent.watch.hearing().heardAgoMs)).toEqual(['b'])
    for (const one of [remote, known, removed]) one.close()
  })

  test('a controller may not ask in its place', async () => {
    const controller = await credentialsOf({ role: 'controller', name: 'test' })
    const asker = new AliveAsker(() => controller)
    expect(await asker.ask({ name: world.host.id, address: '127.0.0.1', port: agent.port })).toBe('reached')
    asker.close()
  })

  test('a machine whose agent is gone refuses, and is reached', async () => {
    const asker = await peer()
    const port = await freePorts(1)
    expect(await asker.ask({ name: 'a', address: '127.0.0.1', port })).toBe('reached')
    asker.close()
  })

  test('one that takes the connection and says nothing is reached: its agent may be stopped', async () => {
    const mute = createServer(() => {}).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const asker = await peer()
    expect(await asker.ask({ name: 'a', address: '127.0.0.1', port: (mute.address() as AddressInfo).port })).toBe(
      'reached',
    )
    asker.close()
    mute.close()
  })
})

describe('what an agent refuses', () => {
  test('an order of before this machine started anew, however late it says it may come', async () => {
    await reached()
    const again = await serveAgent(world.host, world.cluster.clock, 'boot-2')
    try {
      const late = again.reach()
      // It has never heard this boot.
      await expect(late.act(start())).rejects.toMatchObject({ code: 'REFUSED_EXPIRED' })
      await late.look(world.deployment, world.nodes)
      await late.act(start())
    } finally {
      await again.close()
    }
  })

  test.each(['../../etc', '/etc', 'a/b', '', '.', 'A', 'x'.repeat(64)])('a name that is none: %j', async (name) => {
    const remote = await reached()
    const usage = { code: 'USAGE' }
    await expect(remote.look(name, [])).rejects.toMatchObject(usage)
    await expect(remote.act(start(name))).rejects.toMatchObject(usage)
    await expect(remote.act({ ...start(), deployment: name })).rejects.toMatchObject(usage)
    const [place] = world.nodes
    if (place === undefined) throw new Error('a world without nodes')
    await expect(remote.look(world.deployment, [{ ...place, id: name }])).rejects.toMatchObject(usage)
  })
})

describe('terms', () => {
  test('are sent when they are missing, and again when they are others', async () => {
    let password = 'first'
    const terms = () => ({ ...someTerms, admin: { username: 'holdfast-admin', password } })
    const remote = await reached({ terms })
    expect(agent.terms.get(world.deployment)?.admin.password).toBe('first')
    password = 'second'
    await remote.look(world.deployment, world.nodes)
    expect(agent.terms.get(world.deployment)?.admin.password).toBe('second')
  })
})

describe('an agent that does not answer', () => {
  test('is away within half a second, sooner the next time, and back when it answers', async () => {
    const host = new HangingHost(world.cluster)
    const slow = await serveAgent(host, systemClock)
    try {
      const remote = slow.reach()
      await expect(remote.look(world.deployment, world.nodes)).rejects.toMatchObject(unreachable)
      await expect(remote.look(world.deployment, world.nodes)).rejects.toMatchObject(unreachable)
      host.letGo()
      await expect.poll(() => remote.look(world.deployment, world.nodes).then((seen) => seen.size)).toBe(6)
    } finally {
      host.letGo()
      await slow.close()
    }
  })

  test('takes no orders before it was ever heard', () => {
    expect(agent.reach().now()).toBe(0)
  })
})

describe('times', () => {
  test('of an agent whose machine was suspended for a minute are told by its clock as it is now', async () => {
    let aheadMs = 5_000_000
    const clock = { ...systemClock, now: () => world.cluster.now() + aheadMs }
    const remote = await reached({ clock })
    aheadMs += 60_000
    await remote.look(world.deployment, world.nodes)
    // An order would otherwise count for a minute longer than it was meant to.
    expect(Math.abs(remote.now() - world.cluster.now())).toBeLessThan(1000)
  })

  test('of an agent whose clock began at another time are told in ours', async () => {
    const aheadMs = 5_000_000
    const clock = { ...systemClock, now: () => world.cluster.now() + aheadMs }
    const remote = await reached({ clock })
    await remote.act({ ...start(), notAfter: remote.now() + 1000 })
    await world.eventually(
      async () => expect((await remote.look(world.deployment, world.nodes)).get('node-1')?.record).not.toBeNull(),
      { withinMs: 10_000 },
    )
    const seen = (await remote.look(world.deployment, world.nodes)).get('node-1')
    expect(Math.abs((seen?.record?.at ?? 0) - clock.now())).toBeLessThan(5000)
    expect(Math.abs(remote.now() - world.cluster.now())).toBeLessThan(1000)
  })
})

/** It takes every question, and answers none until it is let go. */
class HangingHost extends MemoryHost {
  readonly #held = new Set<() => void>()
  #hangs = true

  override async look(deployment: string, nodes: readonly NodePlace[]): Promise<ReadonlyMap<string, AgentNodeSeen>> {
    if (this.#hangs) await new Promise<void>((resolve) => this.#held.add(resolve))
    return super.look(deployment, nodes)
  }

  letGo(): void {
    this.#hangs = false
    for (const go of this.#held) go()
  }
}
