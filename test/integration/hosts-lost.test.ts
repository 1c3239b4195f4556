/* What becomes of a deployment whose host does not come back, or comes back elsewhere. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { JoinedHosts } from '../support/joined-hosts.ts'

let them: JoinedHosts

beforeAll(async () => {
  them = await JoinedHosts.up({ a: '127.0.0.21', b: '127.0.0.22', c: '127.0.0.23' })
  const spec = them.controller.file('shop.yaml', {
    name: 'shop',
    expose: { basePort: them.basePort },
    timeouts: { node: '1s' },
    placement: { remakeAfter: '2s' },
  })
  await them.controller.ok(['up', spec, '--hosts', 'a,b,c', '-d'], { withinMs: 120_000 })
}, 240_000)

afterAll(async () => {
  await them?.close()
})

test('a host at another address: its engines move there one after the other, and the others are told', async () => {
  await them.controller.ok(['cli', 'shop', '--', 'set', 'kept', 'yes'])
  const before = await them.status('shop')
  const { spec } = await them.controller.ask<{ spec: { hosts: { name: string }[] } }>('/deployments/shop/spec')
  await them.moveAgent('c', '127.0.0.33')
  const hosts = spec.hosts.map((host) => {
    if (host.name === 'c') return { ...host, address: '127.0.0.33' }
    return host.name === 'a' ? { ...host, announce: { hostname: 'a.example' } } : host
  })
  const file = them.controller.file('moved.yaml', { ...spec, hosts })
  await them.controller.ok(['apply', file, '--yes'])
  await eventually(
    async () => {
      const { nodes, ready } = await them.status('shop')
      const moved = nodes.filter(({ hostId }) => hostId === 'c')
      return ready === 'yes' && moved.length === 2 && moved.every(({ host }) => host === '127.0.0.33')
    },
    { what: 'both engines of c are at its new address', withinMs: 60_000 },
  )
  const { nodes, shards } = await them.status('shop')
  const pids = new Map(before.nodes.map(({ id, pid }) => [id, pid]))
  for (const { id, hostId, pid } of nodes) expect(pid === pids.get(id)).toBe(hostId !== 'c')
  const changed = shards.filter(({ id, primary }) => before.shards.find((one) => one.id === id)?.primary !== primary)
  expect(changed.length).toBeLessThanOrEqual(1)
  const { stdout } = await them.controller.ok(['cli', 'shop', '--', 'cluster', 'nodes'])
  expect(stdout).toContain('127.0.0.33:')
  expect(stdout).not.toContain('127.0.0.23:')
  expect(stdout).toContain(',a.example')
  expect((await them.controller.ok(['cli', 'shop', '--', 'get', 'kept'])).stdout).toContain('yes')
}, 120_000)

test('copies of a host that is lost are made anew on the others, and it is not needed when it is back', async () => {
  await them.killAll('c')
  await eventually(
    async () => {
      const { nodes, ready } = await them.status('shop')
      return ready === 'yes' && nodes.length === 6 && nodes.every(({ hostId }) => hostId !== 'c')
    },
    { what: 'six nodes in sync on two hosts', withinMs: 40_000 },
  )
  const { nodes } = await them.status('shop')
  for (const shard of ['shard-1', 'shard-2', 'shard-3']) {
    expect(
      nodes
        .filter((node) => node.shard === shard)
        .map(({ hostId }) => hostId)
        .sort(),
    ).toEqual(['a', 'b'])
  }
  await them.startAgain('c')
  await eventually(async () => (await them.joined('c'))?.state === 'here', { what: 'c is heard' })
  await eventually(async () => (await them.status('shop')).because.includes('that nobody brings it back'), {
    what: 'its nodes are watched, and go',
    withinMs: 10_000,
  })
  expect(them.host('c').program.engines('shop')).toEqual({})
  expect((await them.status('shop')).nodes.map(({ id }) => id).sort()).toEqual(nodes.map(({ id }) => id).sort())
})

test('a host that is let go hands over what it leads, and has its copies made anew on the others', async () => {
  const refused = await them.controller.run(['remove-host', 'b'])
  expect(refused.stderr).toMatch(/on b: node-\d+ \((primary|replica) of shard-\d\)/)
  expect(refused.stderr).toContain('Let b go as shown? Nobody is here to ask')
  const { stdout } = await them.controller.ok(['remove-host', 'b', '--yes', '--no-wait'])
  expect(stdout).toContain('b is emptied by and by')
  await eventually(
    async () => {
      const { nodes, shards, aside = [] } = await them.status('shop')
      const onB = new Set([...nodes, ...aside].filter(({ hostId }) => hostId === 'b').map(({ id }) => id))
      const hasLed = shards.every(({ primary }) => primary !== null && !onB.has(primary))
      return hasLed && aside.some(({ id, because }) => onB.has(id) && because.includes('replaced by'))
    },
    { what: 'b leads nothing, and another is in the place of one of its copies', withinMs: 60_000 },
  )
  expect((await them.controller.ok(['cli', 'shop', '--', 'get', 'kept'])).stdout).toContain('yes')
  const last = await them.controller.run(['remove-host', 'a', '--yes'])
  expect(last.stderr).toContain('a shard has 2 copies, and 1 host is left for them')
}, 120_000)
