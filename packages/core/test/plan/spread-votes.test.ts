import { describe, expect, test } from 'vitest'
import { layOut, parseSpec } from '../../src/index.ts'
import { aDeployment, askedAgo, away, dead, linkDown } from '../support/deployment.ts'

const hosts = ['a', 'b', 'c'].map((name, index) => ({ name, address: `10.0.0.${index + 1}`, zone: `z${index + 1}` }))
const spec = { hosts }
const places = layOut(parseSpec({ name: 'shop', ...spec }))
const hostOf = (id: string): string => places.find((place) => place.id === id)?.host ?? ''
/** The other copy of a shard. */
const otherOf = (shard: string): string => places.filter((place) => place.shard === shard)[1]?.id ?? ''
/** With the second copy of shard-1 as its primary, its host has two of three. */
const crowded = { spec, primaries: { 'shard-1': otherOf('shard-1') } }
const switchover = (node: string) => ({ kind: 'failover', node, mode: 'switchover' })

describe('primaries that a failover has brought together', () => {
  test('as laid out, no host has two of three', () => {
    expect(aDeployment({ spec }).plan().actions).toEqual([])
  })

  test('are moved apart by one switchover, to where there is none', () => {
    const { actions, because } = aDeployment(crowded).plan()
    const [moved] = actions
    expect(actions).toHaveLength(1)
    const heir = moved?.node ?? ''
    expect(actions).toEqual([switchover(heir)])
    expect(because).toContain('2 of 3 primaries are in one')
    const shard = places.find(({ id }) => id === heir)?.shard ?? ''
    const primaries = new Map([
      ['shard-1', otherOf('shard-1')],
      ['shard-2', 'node-2'],
      ['shard-3', 'node-3'],
      [shard, heir],
    ])
    expect(new Set([...primaries.values()].map(hostOf)).size).toBe(3)
  })

  test.each([
    ['while a node is dead', dead('node-1')],
    ['while a host does not answer', away('node-1')],
    ['while a copy is not in sync', linkDown('node-1', 500)],
  ] as const)('stay where they are %s', (_, trouble) => {
    expect(
      aDeployment(crowded)
        .with(trouble)
        .plan()
        .actions.filter(({ kind }) => kind === 'failover'),
    ).toEqual([])
  })

  test('wait until nobody has taken over for half a minute', () => {
    const [first] = aDeployment(crowded).plan().actions
    const soon = aDeployment(crowded).with(askedAgo('node-5', 29_000)).plan()
    expect([soon.actions, soon.because]).toEqual([[], expect.stringContaining('in 1 s')])
    expect(aDeployment(crowded).with(askedAgo('node-5', 31_000)).plan().actions).toEqual([first])
  })

  test('stay where no switchover makes it better: two hosts for three primaries', () => {
    const [a, b, c] = hosts
    const drained = { spec: { hosts: [a, b, { ...c, tiebreaker: 'yes' }] } }
    expect(aDeployment(drained).plan().actions).toEqual([])
  })
})
