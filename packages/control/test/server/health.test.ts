import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { aStatus } from './demo-status.ts'
import { aWorld, type World } from './support.ts'

let world: World
beforeEach(() => {
  world = aWorld()
  const now = world.clock.wall()
  const status = aStatus()
  world.platform.show({ ...status, observedAt: now, nodes: status.nodes.map((node) => ({ ...node, seenAt: now })) })
})
afterEach(() => world.close())

/** As a load balancer: without a session, without a token, and by a name of its own. */
const ask = (url: string, method: 'GET' | 'HEAD' | 'OPTIONS' = 'GET') =>
  world.app.inject({ method, url: `/health/${url}`, headers: { host: 'db.example:9000' } })

describe('the health of a node', () => {
  test('is 200 for the primary and 503 for its replica, with the reason', async () => {
    const [primary] = aStatus().shards
    const yes = await ask(`shop/${primary?.primary}/primary`)
    expect([yes.statusCode, yes.json()]).toMatchObject([200, { healthy: true, role: 'primary', agoMs: 0 }])
    const no = await ask(`shop/${primary?.replicas[0]}/primary`)
    expect([no.statusCode, no.json().because]).toEqual([503, `${primary?.primary} is primary of shard-1`])
  })

  test('is told to HEAD and OPTIONS as well', async () => {
    for (const method of ['HEAD', 'OPTIONS'] as const) {
      expect((await ask('shop/node-1/primary', method)).statusCode, method).toBe(200)
      expect((await ask('shop/node-1/replica', method)).statusCode, method).toBe(503)
    }
  })

  test('is unknown once nobody looks any more', async () => {
    world.clock.advance(3500)
    const answer = await ask('shop/node-1/primary')
    expect([answer.statusCode, answer.json().because]).toEqual([503, 'unknown: nobody has looked for 3.5 s'])
  })

  test('tells no addresses, no process and nothing of what is in it', async () => {
    const answer = await ask('shop/node-1/alive')
    expect(Object.keys(answer.json()).sort()).toEqual(
      ['ackAgeSeconds', 'agoMs', 'because', 'healthy', 'lag', 'node', 'paused', 'role', 'shard', 'state'].sort(),
    )
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  test('a question that nobody can answer is said to be one', async () => {
    expect((await ask('shop/node-99/primary')).statusCode).toBe(404)
    expect((await ask('shop/node-1/master')).json().error.message).toBe(
      'question: one of primary, replica, read-only, alive',
    )
    expect((await ask('shop/node-1/replica?lag=soon')).json().error.message).toBe(
      'lag: a time such as 1s, or a size such as 1mb',
    )
    expect((await ask('shop/node-1/primary?lag=1s')).statusCode).toBe(400)
  })

  test('the rest of the server is still only for who calls it by its own name', async () => {
    const answer = await world.app.inject({ url: '/healthz', headers: { host: 'db.example:9000' } })
    expect(answer.statusCode).toBe(421)
  })
})
