import { describe, expect, test } from 'vitest'
import { layOut, parseSpec } from '../../src/index.ts'
import type { Break } from '../support/deployment.ts'
import { aDeployment, askedAgo, dead, factsOf, linkDown } from '../support/deployment.ts'

const hosts = ['a', 'b', 'c'].map((name, index) => ({ name, address: `10.0.0.${index + 1}`, zone: `z${index + 1}` }))
const spec = { hosts }
const heir = layOut(parseSpec({ name: 'shop', ...spec })).find(
  ({ id, shard }) => shard === 'shard-1' && id !== 'node-1',
)
const heirId = heir?.id ?? ''

const cannotLog =
  (...ids: readonly string[]): Break =>
  (world) => {
    for (const id of ids) factsOf(world, id).disk.logOk = false
  }

const failovers = (deployment: ReturnType<typeof aDeployment>) =>
  deployment.plan().actions.filter(({ kind }) => kind === 'failover')

describe('a primary that cannot write to its disk', () => {
  test('hands its shard over to the copy on another host', () => {
    const { actions, because } = aDeployment({ spec }).with(cannotLog('node-1')).plan()
    expect(actions).toEqual([{ kind: 'failover', node: heirId, mode: 'switchover' }])
    expect(because).toBe(
      `node-1 (primary of shard-1) takes no writes, it cannot write to its disk: handing it over to ${heirId} on ${heir?.host}`,
    )
  })

  test.each([
    ['its copy cannot write either', cannotLog('node-1', heirId)],
    ['its copy is not in sync', (world) => [cannotLog('node-1'), linkDown(heirId, 500)].forEach((one) => one(world))],
  ] as [string, Break][])('keeps it, and says so, where %s', (_, trouble) => {
    const deployment = aDeployment({ spec }).with(trouble)
    expect(failovers(deployment)).toEqual([])
    expect(deployment.plan().because).toContain('no copy on another host can take over')
  })

  test('keeps it on one machine, whose disk is the same for all', () => {
    const deployment = aDeployment().with(cannotLog('node-1'))
    expect(failovers(deployment)).toEqual([])
    expect(deployment.plan().because).toContain('make room there')
  })

  test('is asked once, and the next shard waits until this one has settled', () => {
    const asked = aDeployment({ spec })
      .with(cannotLog('node-1', 'node-2'))
      .with(askedAgo(heirId, 200, 'switchover'))
    expect(failovers(asked)).toEqual([])
    expect(failovers(aDeployment({ spec }).with(cannotLog('node-1', 'node-2')))).toHaveLength(1)
  })

  test('waits while another shard has no living primary', () => {
    const deployment = aDeployment({ spec }).with(cannotLog('node-1')).with(dead('node-2'))
    expect(failovers(deployment).map(({ node }) => node)).not.toContain(heirId)
  })
})

test('a copy that cannot write to its disk is chosen for nothing that is planned', () => {
  const drained = (world: Parameters<Break>[0]): void => {
    for (const place of world.document.nodes) if (place.id === 'node-1') place.drained = true
  }
  expect(failovers(aDeployment({ spec }).with(drained))).toHaveLength(1)
  expect(failovers(aDeployment({ spec }).with(drained, cannotLog(heirId)))).toEqual([])
})
