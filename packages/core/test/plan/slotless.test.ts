import { describe, expect, test } from 'vitest'
import { copiesInSync, judgeReadiness } from '../../src/index.ts'
import type { Break } from '../support/deployment.ts'
import { absent, dead, factsOf, viewsOf, wiped } from '../support/deployment.ts'
import { drainedFour, slotlessFour } from '../support/slotless.ts'

const shardFour = (...breaks: readonly Break[]) => slotlessFour(...breaks).picture().shards[3]
const kinds = ({ actions }: { actions: readonly { kind: string; node: string }[] }): string[] =>
  actions.map(({ kind, node }) => `${kind} ${node}`)

describe('a shard without slots, by intent', () => {
  test('has a primary, and is ready', () => {
    const { primary, slotless, born, ghost } = shardFour() ?? {}
    expect([primary?.id, slotless, born, ghost]).toEqual(['node-4', true, false, null])
    expect(judgeReadiness(slotlessFour().picture())).toEqual({
      ready: 'yes',
      because: '4 shards, 8 of 8 nodes in sync',
    })
  })

  test('is one only by somebody’s word', () => {
    const [, , , shard] = drainedFour().picture().shards
    expect([shard?.primary, shard?.slotless]).toEqual([null, undefined])
  })

  test('is none while any slot is without an owner: it might be its own', () => {
    const shard = shardFour((world) => {
      for (const { entries } of viewsOf(world))
        for (const entry of entries) if (entry.slots.length > 0) entry.slots[0] = [0, 99]
    })
    expect([shard?.primary, shard?.slotless]).toEqual([null, undefined])
  })

  test('is none while the owner of some slot is nobody known', () => {
    const shard = shardFour(dead('node-3'), wiped('node-3'), (world) => {
      for (const node of world.observed.nodes) if (node.id === 'node-3' && node.agent !== null) node.agent.record = null
    })
    expect(shard?.slotless).toBeUndefined()
  })

  test('follows whom others follow already, else the first that is a primary', () => {
    const both = shardFour((world) => {
      const facts = factsOf(world, 'node-8')
      facts.role = 'primary'
      for (const entry of facts.view.entries) if (entry.engineId === facts.engineId) entry.follows = null
    })
    expect(both?.primary?.id).toBe('node-4')
    expect(shardFour(dead('node-4'))?.primary?.id).toBe('node-4')
  })
})

describe('its primary', () => {
  test('that is dead is started again, and nobody takes over from it', () => {
    const plan = slotlessFour(dead('node-4')).plan()
    expect(kinds(plan)).toEqual(['start node-4'])
  })

  test('that is dead is started again with its whole shard, though nobody knows what its files have', () => {
    const plan = slotlessFour(dead('node-4'), dead('node-8'), wiped('node-4'), wiped('node-8')).plan()
    expect(kinds(plan)).toEqual(['start node-4', 'start node-8'])
  })

  test('does not vote: of three voters two are a majority', () => {
    // With its vote two of four would be left, which elect nobody.
    const plan = slotlessFour(dead('node-1'), dead('node-4')).plan()
    expect(plan.actions).toEqual([{ kind: 'failover', node: 'node-5', mode: 'force' }])
  })

  test('keeps no shard from coming home that is somebody else’s', () => {
    expect(slotlessFour(dead('node-4')).plan().because).not.toContain('nobody is known to own')
  })
})

describe('meanwhile', () => {
  test('its copies do not count: it has no data', () => {
    expect(copiesInSync(slotlessFour(absent('node-8')).picture())).toBe(2)
  })
})
