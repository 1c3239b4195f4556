import type { ReplicaLink } from '@holdfast/core'
import { describe, expect, test } from 'vitest'
import { recordOf } from '../../src/host/node-record.ts'

const link = (state: ReplicaLink['state']): ReplicaLink => ({
  state,
  primaryAddress: '127.0.0.1',
  primaryPort: 7001,
  priority: 100,
  downSeconds: 0,
})
const replica = (state: ReplicaLink['state'], engineId: string | null) => ({
  role: 'replica' as const,
  replid: 'a',
  offset: 10,
  link: link(state),
  logs: true,
  claim: engineId === null ? null : { engineId, role: 'replica' as const, configEpoch: 1 },
  claimsSlots: false,
})

describe('the record of a replica whose link is down', () => {
  test.each([
    ['in a Cluster', 'x'],
    ['outside of one, where engines have no id', null],
  ])('says when it was last up, and since when it is not: %s', (_, engineId) => {
    const up = recordOf(null, replica('up', engineId), 1000)
    expect(up).toMatchObject({ linkUpAt: 1000, linkDownSince: null })
    const down = recordOf(up, replica('down', engineId), 1250)
    expect(down).toMatchObject({ linkUpAt: 1000, linkDownSince: 1250 })
    expect(recordOf(down, replica('down', engineId), 1500)).toMatchObject({ linkUpAt: 1000, linkDownSince: 1250 })
  })

  test('says nothing of the engine that was there before a wipe', () => {
    const up = recordOf(null, replica('up', 'x'), 1000)
    expect(recordOf(up, replica('down', 'y'), 1250)).toMatchObject({ linkUpAt: null, linkDownSince: 1250 })
  })
})
