import type { Ledger } from '@holdfast/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

let it: TestDeployment

beforeAll(async () => {
  it = await TestDeployment.up()
})
afterAll(() => it?.close())

const ledger = (since = 0): Ledger => it.controller.ledger('it', since)

/** Once the probe has looked at every shard for a moment. */
const isLookedAt = () =>
  eventually(
    () => {
      const { shards } = ledger()
      const seen = Object.values(shards).map(({ observedMs }) => observedMs)
      if (seen.length < 3 || Math.min(...seen) < 500) throw new Error(`looked at: ${JSON.stringify(shards)}`)
    },
    { withinMs: 20_000, what: 'the probe looks at every shard' },
  )

const keys = async (): Promise<number[]> =>
  Promise.all(it.status().nodes.map(async ({ id }) => Number(await it.command(id, 'DBSIZE'))))

test('a primary that dies is one incident, with who took over, and how long a client could not write', async () => {
  await isLookedAt()
  const { id: dead } = it.primaryOf('shard-1')
  const { id: heir } = it.replicaOf('shard-1')
  const diedAt = Date.now()
  it.kill(dead)
  const incident = await eventually(
    () => {
      const found = ledger().incidents.filter((one) => one.promotions.length > 0 && one.endedAt !== null)
      if (found.length !== 1) throw new Error(JSON.stringify(ledger().incidents))
      return found[0]
    },
    { withinMs: 20_000, what: 'an incident with a promotion is over' },
  )
  expect(incident).toMatchObject({
    kind: 'death',
    because: expect.stringContaining(`${dead} (primary of shard-1) is dead`),
    promotions: [
      {
        shard: 'shard-1',
        from: dead,
        to: heir,
        offsetBefore: expect.any(Number),
        offsetAfter: expect.any(Number),
      },
    ],
    possiblyLostBytes: 0,
    drill: null,
    madeWorseBy: [],
  })
  expect(incident?.id).toMatch(/^it-\d+$/)
  const awayMs = incident?.notWritableMs['shard-1'] ?? 0
  expect(awayMs).toBeGreaterThan(0)
  expect(awayMs).toBeLessThan(10_000)
  // It may have begun with a write that was under way; it ended after the death.
  expect(incident?.beganAt).toBeGreaterThan(diedAt - 5000)
  expect(incident?.endedAt).toBeGreaterThan(diedAt)
  expect(incident?.timeline.map(({ because }) => because)).toContainEqual(expect.stringMatching(/^promote \(force\)/))
})

test('availability adds up, and what the incident took is in it', () => {
  const { availability, shards, incidents, because } = ledger()
  for (const { observedMs, notWritableMs, ratio } of [availability, ...Object.values(shards)]) {
    expect(notWritableMs).toBeLessThanOrEqual(observedMs)
    expect(ratio).toBeCloseTo(1 - notWritableMs / observedMs)
  }
  const worst = Math.max(...Object.values(shards).map(({ notWritableMs }) => notWritableMs))
  expect(availability.notWritableMs).toBeGreaterThanOrEqual(worst)
  const taken = incidents.reduce((sum, { notWritableMs }) => sum + (notWritableMs['shard-1'] ?? 0), 0)
  expect(shards['shard-1']?.notWritableMs).toBeGreaterThanOrEqual(taken)
  expect(because).toMatch(/^[\d.]+ % in .+; .+ not writable; 1 death/)
})

test('the probe leaves nothing behind', async () => {
  expect(await keys()).toEqual([0, 0, 0, 0, 0, 0])
})

test('the next controller has the same ledger, and goes on with it', async () => {
  const before = ledger()
  await it.stopController()
  await it.startController()
  await it.ready()
  const after = ledger()
  const deaths = (found: Ledger) => found.incidents.filter(({ kind }) => kind === 'death')
  expect(deaths(after)).toEqual(deaths(before))
  expect(after.availability.observedMs).toBeGreaterThanOrEqual(before.availability.observedMs)
  await eventually(() => ledger().availability.observedMs > after.availability.observedMs, {
    withinMs: 15_000,
    what: 'it is looked at again',
  })
})

test("the engines' own failover, while no controller ran, is found by the next one", async () => {
  const { id: former } = it.primaryOf('shard-2')
  const { id: heir } = it.replicaOf('shard-2')
  await it.stopController()
  expect(await it.command(heir, 'CLUSTER', 'FAILOVER')).toBe('OK')
  await eventually(async () => String(await it.command(heir, 'ROLE')).startsWith('master'), { what: 'it took over' })
  await it.startController()
  const incident = await eventually(
    () => {
      const found = ledger().incidents.find(({ promotions }) => promotions.some(({ to }) => to === heir))
      if (found === undefined) throw new Error(JSON.stringify(ledger().incidents))
      return found
    },
    { withinMs: 20_000, what: 'a change of hands that nobody saw' },
  )
  expect(incident.promotions).toContainEqual(
    expect.objectContaining({ shard: 'shard-2', from: former, to: heir, offsetAfter: null }),
  )
  expect(incident.possiblyLostBytes).toBeNull()
})

test('a deployment that is gone takes its ledger with it', async () => {
  await it.controller.setWanted('it', 'down', { purge: true, acceptDataLoss: false }, 'test')
  await eventually(() => it.controller.names().length === 0, { withinMs: 20_000, what: 'it is purged' })
  expect(() => ledger()).toThrow('there is no deployment it')
})
