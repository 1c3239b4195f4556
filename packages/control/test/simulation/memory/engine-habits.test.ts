/* The habits of the engine that the planner must live with, and that the contract suite is too patient to see. */
import { HoldfastError } from '@holdfast/core'
import { expect, test } from 'vitest'
import type { ReadyCluster } from '../ready-cluster.ts'
import { aReadyCluster, ReadyCluster as Cluster, joinNodes, plainFiles, threeOfTwo } from '../ready-cluster.ts'
import { inject } from './faults.ts'
import { confOf, viewOf } from './node.ts'

const kill = (cluster: ReadyCluster, ...nodes: string[]) => inject(cluster, { kind: 'kill', nodes })
const role = (cluster: ReadyCluster, node: string) => cluster.node(node).conf?.role
const force = (cluster: ReadyCluster, node: string) => cluster.act({ kind: 'failover', node, mode: 'force' })

test('a forced failover takes one tick of the engine and a vote', async () => {
  const cluster = await aReadyCluster()
  kill(cluster, 'node-1')
  await force(cluster, 'node-4')
  await cluster.clock.advance(100)
  expect(cluster.writablePrimaryOf('shard-1')?.place.id).toBe('node-4')
})

test('voters that have not heard of a replica yet refuse it: "it is a master node"', async () => {
  const cluster = new Cluster({ seed: 3, nodes: threeOfTwo() })
  await joinNodes(cluster)
  // Right after creation: node-4 follows node-1, and the news has not got around.
  const voter = confOf(cluster.node('node-2'))
  expect(voter.peers.get(confOf(cluster.node('node-4')).id)).toMatchObject({ role: 'primary', follows: null })
  kill(cluster, 'node-1')
  await force(cluster, 'node-4')
  await cluster.clock.advance(3000)
  expect(role(cluster, 'node-4')).toBe('replica')
  await cluster.act({ kind: 'failover', node: 'node-4', mode: 'takeover' })
  expect(role(cluster, 'node-4')).toBe('primary')
})

test('a replica that was refused does not ask again, however often it is told to', async () => {
  const cluster = await aReadyCluster({ nativeFailover: false })
  kill(cluster, 'node-1', 'node-2')
  await force(cluster, 'node-4')
  await cluster.clock.advance(200)
  await cluster.act({ kind: 'start', node: 'node-2', files: plainFiles })
  await cluster.clock.advance(3000)
  for (let i = 0; i < 10; i++) {
    await force(cluster, 'node-4')
    await cluster.clock.advance(1000)
  }
  expect(role(cluster, 'node-4')).toBe('replica')
  await cluster.clock.advance(4 * cluster.nodeTimeoutMs)
  await force(cluster, 'node-4')
  await cluster.clock.advance(200)
  expect(role(cluster, 'node-4')).toBe('primary')
})

test('left alone, the engine fails over after its node timeout', async () => {
  const cluster = await aReadyCluster({ nodeTimeoutMs: 5000 })
  kill(cluster, 'node-1')
  await cluster.clock.advance(4500)
  expect(role(cluster, 'node-4')).toBe('replica')
  await cluster.waitUntil(() => role(cluster, 'node-4') === 'primary', 4000)
  expect(cluster.promotions.at(-1)?.how).toBe('own election')
})

test('two of three primaries dead leave no majority, and nobody is elected', async () => {
  const cluster = await aReadyCluster()
  kill(cluster, 'node-1', 'node-2')
  await cluster.clock.advance(60_000)
  expect([role(cluster, 'node-4'), role(cluster, 'node-5')]).toEqual(['replica', 'replica'])
  expect(cluster.write('shard-3')).toBe(false)
})

test('a long script gets a healthy primary failed over by the engine', async () => {
  const cluster = await aReadyCluster({ nodeTimeoutMs: 2000 })
  inject(cluster, { kind: 'busy', node: 'node-1', forMs: 6000, saysBusy: false })
  await cluster.waitUntil(() => role(cluster, 'node-4') === 'primary', 6000)
  await cluster.waitUntil(() => role(cluster, 'node-1') === 'replica', 6000)
})

test('an old primary that comes back follows the one that took its slots', async () => {
  const cluster = await aReadyCluster()
  inject(cluster, { kind: 'freeze', node: 'node-1' })
  await cluster.waitUntil(() => role(cluster, 'node-4') === 'primary', 10_000)
  inject(cluster, { kind: 'thaw', node: 'node-1' })
  await cluster.waitUntil(() => cluster.node('node-1').process?.link?.state === 'up', 5000)
  expect(confOf(cluster.node('node-1')).follows).toBe(confOf(cluster.node('node-4')).id)
})

test('a primary that lost its data and kept its nodes.conf spreads emptiness', async () => {
  const cluster = await aReadyCluster()
  for (let i = 0; i < 10; i++) cluster.write('shard-1')
  expect(cluster.node('node-4').data.length).toBe(10)
  kill(cluster, 'node-1')
  inject(cluster, { kind: 'wipe', node: 'node-1', what: 'data' })
  await cluster.act({ kind: 'start', node: 'node-1', files: plainFiles })
  await cluster.clock.advance(3000)
  expect(cluster.node('node-4').data.length).toBe(0)
  expect(cluster.promotions.at(-1)).toMatchObject({ how: 'start', node: 'node-1', missing: [{ node: 'node-4' }] })
})

test('who was wiped stays in the views as an entry without an address, and is never convicted', async () => {
  const cluster = await aReadyCluster()
  const before = confOf(cluster.node('node-1')).id
  kill(cluster, 'node-1')
  inject(cluster, { kind: 'wipe', node: 'node-1', what: 'all' })
  await cluster.act({ kind: 'start', node: 'node-1', files: plainFiles })
  await cluster.clock.advance(20_000)
  const ghost = viewOf(cluster.node('node-2')).entries.find(({ engineId }) => engineId === before)
  expect(ghost).toMatchObject({ address: '', port: 0, linked: false, health: 'ok' })
  expect(role(cluster, 'node-4')).toBe('replica')
})

test('a replica that lags loses what it had not applied when it is promoted', async () => {
  const cluster = await aReadyCluster()
  cluster.write('shard-1')
  inject(cluster, { kind: 'lag', node: 'node-4' })
  for (let i = 0; i < 5; i++) cluster.write('shard-1')
  kill(cluster, 'node-1')
  inject(cluster, { kind: 'catch-up', node: 'node-4' })
  await force(cluster, 'node-4')
  await cluster.clock.advance(200)
  expect(cluster.node('node-4').data.length).toBe(1)
  expect(cluster.promotions.at(-1)?.missing).toMatchObject([{ node: 'node-1', writes: [1, 2, 3, 4, 5], state: 'down' }])
})

test('a switchover loses nothing, and no write is taken twice', async () => {
  const cluster = await aReadyCluster()
  for (let i = 0; i < 20; i++) cluster.write('shard-2')
  await cluster.act({ kind: 'failover', node: 'node-5', mode: 'switchover' })
  await cluster.waitUntil(() => cluster.writablePrimaryOf('shard-2')?.place.id === 'node-5', 1000)
  for (let i = 0; i < 5; i++) cluster.write('shard-2')
  await cluster.waitUntil(() => cluster.node('node-2').process?.link?.state === 'up', 5000)
  expect(cluster.node('node-2').data.length).toBe(25)
  expect(cluster.promotions.at(-1)).toMatchObject({ how: 'switchover', missing: [] })
})

test('a lost answer is an action that was done', async () => {
  const cluster = await aReadyCluster()
  cluster.hostWeather.replyLoss = 1
  await expect(cluster.act({ kind: 'failover', node: 'node-4', mode: 'takeover' })).rejects.toThrow(HoldfastError)
  expect(role(cluster, 'node-4')).toBe('primary')
})
