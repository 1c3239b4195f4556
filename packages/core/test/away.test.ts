import { describe, expect, test } from 'vitest'
import type { EngineSeen, HostSeen, NodeSeen } from '../src/index.ts'
import { readHosts } from '../src/index.ts'

const at = 1_000_000
const leaseAfterMs = 1500
const silent: EngineSeen = { kind: 'silent', since: at - 10_000 }
const refused: EngineSeen = { kind: 'refused', at, reason: 'connect ECONNREFUSED 10.0.0.1:7001' }
const unreachable: EngineSeen = { kind: 'refused', at, reason: 'connect EHOSTUNREACH 10.0.0.1:7001' }
const loading: EngineSeen = { kind: 'loading', at }

interface Scene {
  /** ms since each of the other hosts last reached host a; null: that host does not answer now. */
  readonly others: readonly (number | null)[]
  /** Whether the agent of a answers the controller now, or how long ago it did. */
  readonly heard: 'now' | number
  readonly engine?: EngineSeen
  /** How long the agents of the others run. */
  readonly listensForMs?: number
}

function read({ others, heard, engine = silent, listensForMs = 600_000 }: Scene) {
  const hosts: HostSeen[] = [
    { id: 'a', answers: heard === 'now', heardAt: heard === 'now' ? at : at - heard, hearing: null },
    ...others.map((agoMs, index): HostSeen => {
      const contacts: Record<string, number> = agoMs === null ? {} : { a: at - agoMs }
      const hearing = { since: at - listensForMs, contacts, isAlone: false }
      return { id: `other-${index}`, answers: agoMs !== null, heardAt: agoMs === null ? at - 60_000 : at, hearing }
    }),
  ]
  const node: NodeSeen = {
    id: 'node-1',
    shard: 'shard-1',
    host: 'a',
    address: '10.0.0.1',
    port: 7001,
    engine,
    agent: null,
  }
  const host = readHosts({ at, nodes: [node], hosts }, leaseAfterMs).get('a')
  return { reach: host?.reach, isOver: host?.leaseOverAt !== null, because: host?.because }
}

const long = 60_000
const recent = 200

/* What is seen from each side, and what it means. */
test.each<[string, Scene, string, boolean]>([
  ['all hear it', { heard: 'now', others: [recent, recent] }, 'here', false],
  ['one of two others has lost it', { heard: 'now', others: [recent, long] }, 'here', false],
  [
    'its peers have lost it, the controller has not',
    { heard: 'now', others: [long, long] },
    'cut from its peers',
    false,
  ],
  [
    'its agent is gone, its engines answer',
    { heard: long, others: [long, long], engine: loading },
    'agent only',
    false,
  ],
  [
    'all on it was killed, its machine refuses',
    { heard: long, others: [long, long], engine: refused },
    'agent only',
    false,
  ],
  ['only the controller has lost it', { heard: long, others: [recent, recent] }, 'cut from the controller', false],
  ['the controller and one of two have', { heard: long, others: [long, recent] }, 'cut from the controller', false],
  ['nobody reaches it', { heard: long, others: [long, long] }, 'away', true],
  ['nobody does, and the network says so', { heard: long, others: [long, long], engine: unreachable }, 'away', true],
  ['nobody does, not long enough yet for all', { heard: 2400, others: [long, long] }, 'away', false],
  ['its peers have not long enough', { heard: long, others: [2400, 2400] }, 'away', false],
  ['two of three others have lost it', { heard: long, others: [long, long, recent] }, 'away', true],
  ['the only other host has', { heard: long, others: [long] }, 'away', true],
  ['there is no other host to ask', { heard: long, others: [] }, 'away', false],
  ['one who does not answer says nothing', { heard: long, others: [long, null] }, 'cut from the controller', false],
  [
    'an agent that has just started knows nothing',
    { heard: long, others: [long, long], listensForMs: 1000 },
    'cut from the controller',
    false,
  ],
])('%s', (_what, scene, reach, isOver) => {
  const found = read(scene)
  expect({ reach: found.reach, isOver: found.isOver }).toEqual({ reach, isOver })
})

describe('it is said in words', () => {
  test('who reaches it, and for how long it has been silent', () => {
    expect(read({ heard: 3000, others: [long, long] }).because).toBe(
      'a has not answered the controller for 3 s, 0 of 2 other hosts reach it',
    )
  })
})
