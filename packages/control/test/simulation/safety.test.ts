/* The judges are right to speak: each wrong is done once, and its judge names it. */
import { expect, test } from 'vitest'
import { inject } from './memory/faults.ts'
import { confOf, noteClaim } from './memory/node.ts'
import { aReadyCluster, plainFiles } from './ready-cluster.ts'
import { defaultLimits, judgeAction, judgeEpochs, judgeLoss, judgePlan, judgePromotion, unsettled } from './safety.ts'

const quiet = { because: '', notes: [], lookAgainMs: null }
const handOver = (node: string) => ({ kind: 'failover', node, mode: 'switchover' }) as const
const stop = (node: string) => ({ kind: 'stop', node, save: true }) as const

test('nothing is said of a cluster that is well, nor of a plain failover', async () => {
  const cluster = await aReadyCluster()
  cluster.write('shard-1')
  inject(cluster, { kind: 'kill', nodes: ['node-1'] })
  await cluster.act({ kind: 'failover', node: 'node-4', mode: 'force' })
  await cluster.clock.advance(200)
  await cluster.act({ kind: 'start', node: 'node-1', files: plainFiles })
  await cluster.waitUntil(() => unsettled(cluster).length === 0, 10_000)
  expect(cluster.promotions.flatMap((promotion) => judgePromotion(promotion, defaultLimits))).toEqual([])
  expect([...judgeEpochs(cluster), ...judgeLoss(cluster)]).toEqual([])
})

test('an empty primary that replaces a full copy', async () => {
  const cluster = await aReadyCluster({ writeBytes: 1_000_000 })
  for (let i = 0; i < 5; i++) cluster.write('shard-1')
  await cluster.clock.advance(1000)
  inject(cluster, { kind: 'kill', nodes: ['node-1'] })
  inject(cluster, { kind: 'wipe', node: 'node-1', what: 'data' })
  await cluster.act({ kind: 'start', node: 'node-1', files: plainFiles })
  await cluster.clock.advance(500)
  expect(cluster.promotions.flatMap((promotion) => judgePromotion(promotion, defaultLimits))).toEqual([
    'node-1 became primary of shard-1 (start) without 5 acknowledged writes that node-4 (serving) has',
  ])
})

test('a promoted replica that lags too far, unless everybody waited long enough', async () => {
  const cluster = await aReadyCluster({ writeBytes: 1_000_000 })
  inject(cluster, { kind: 'lag', node: 'node-4' })
  for (let i = 0; i < 5; i++) cluster.write('shard-1')
  await cluster.clock.advance(1000)
  inject(cluster, { kind: 'kill', nodes: ['node-1'] })
  await cluster.act({ kind: 'failover', node: 'node-4', mode: 'force' })
  await cluster.clock.advance(200)
  const [promotion] = cluster.promotions.slice(-1)
  if (promotion === undefined) throw new Error('nobody was promoted')
  expect(judgePromotion(promotion, defaultLimits)).toHaveLength(1)
  expect(judgePromotion(promotion, { ...defaultLimits, maxLagBytes: 5_000_000 })).toEqual([])
  expect(judgePromotion(promotion, { ...defaultLimits, lossAfterMs: 0 })).toEqual([])
})

test('writes that vanish without any known cause', async () => {
  const cluster = await aReadyCluster()
  cluster.write('shard-1')
  cluster.node('node-1').data.length = 0
  expect(judgeLoss(cluster)).toEqual(['1 acknowledged writes of shard-1 are gone, the first is 0'])
})

test('two planned risks, or two failovers, in one turn', async () => {
  const cluster = await aReadyCluster()
  expect(judgePlan(cluster, { ...quiet, actions: [handOver('node-4')] })).toEqual([])
  expect(judgePlan(cluster, { ...quiet, actions: [handOver('node-4'), handOver('node-5')] })).toHaveLength(2)
  expect(judgePlan(cluster, { ...quiet, actions: [stop('node-1'), stop('node-2')] })).toHaveLength(1)
})

test('a force against a living primary, and a kill of a living engine', async () => {
  const cluster = await aReadyCluster()
  const said: string[] = []
  cluster.onAccepted = (accepted) => said.push(...judgeAction(cluster, accepted))
  await cluster.act({ kind: 'failover', node: 'node-4', mode: 'force' })
  const { process } = cluster.node('node-5')
  if (process === null) throw new Error('node-5 does not run')
  await cluster.act({ kind: 'fence', node: 'node-5', pid: process.pid, startTime: process.startTime })
  expect(said).toEqual(['force asked of node-4 while its primary node-1 lives', 'node-5 was killed while it was alive'])
})

test('an action of an old epoch that got through', async () => {
  const cluster = await aReadyCluster()
  const action = { kind: 'close-slot', node: 'node-1', slot: 1 } as const
  const old = { at: 0, epoch: 1, action, from: 'old', host: 'local' }
  cluster.accepted.push({ ...old, epoch: 2, from: 'new', host: 'local' }, old)
  expect(judgeAction(cluster, old)).toEqual(['old acted in epoch 1 after 2'])
})

test('two primaries of one shard in one epoch', async () => {
  const cluster = await aReadyCluster()
  const [one, other] = [confOf(cluster.node('node-1')), confOf(cluster.node('node-4'))]
  Object.assign(other, { role: 'primary', follows: null, slots: one.slots, configEpoch: one.configEpoch })
  noteClaim(cluster.node('node-4'))
  expect(judgeEpochs(cluster)).toEqual(['node-1 and node-4 own 5461 slots in one epoch'])
})

test('slots without owner, strangers, and dead nodes are not settled', async () => {
  const cluster = await aReadyCluster()
  inject(cluster, { kind: 'unassign', slots: [[3, 5]] })
  expect(unsettled(cluster)).toContain('nobody owns slots 3-5')
  inject(cluster, { kind: 'kill', nodes: ['node-6'] })
  expect(unsettled(cluster)).toEqual(['node-6 does not serve'])
})
