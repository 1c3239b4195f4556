import { describe, expect, test } from 'vitest'
import type { Status } from '../src/index.ts'
import { objectionToHostsLeft, parseSpec, previewTakeOff } from '../src/index.ts'

const node = (id: string, hostId: string, shard: string, state = 'ok') => ({ id, hostId, shard, state })
/** Two shards on three hosts, the second led by b. */
const shop = (some: object = {}): Status =>
  ({
    name: 'shop',
    topology: 'cluster',
    wanted: 'up',
    proxy: null,
    sentinels: [],
    shards: [
      { id: 'shard-1', primary: 'node-1' },
      { id: 'shard-2', primary: 'node-2' },
    ],
    nodes: [
      node('node-1', 'a', 'shard-1'),
      node('node-2', 'b', 'shard-2'),
      node('node-3', 'b', 'shard-1'),
      node('node-4', 'c', 'shard-2'),
    ],
    ...some,
  }) as unknown as Status
const objection = (host: string, some?: object): string | null => previewTakeOff(host, shop(some)).objection

describe('taking a host off', () => {
  test('is said first: what is there, who hands over, what is made anew', () => {
    expect(previewTakeOff('b', shop())).toEqual({
      lines: [
        'on b: node-2 (primary of shard-2), node-3 (replica of shard-1)',
        'node-2 hands shard-2 over to a copy in sync; nothing is lost',
        '2 copies are made anew, one after the other, with all of the data, on the hosts left',
        'then what is on b is stopped and forgotten by all, and its files are removed once nobody brings it back for 75 s',
      ],
      objection: null,
    })
    expect(previewTakeOff('d', shop()).lines).toEqual(['nothing of shop is on d'])
  })

  test('leaves the files of one that does not answer', () => {
    const nodes = [node('node-1', 'a', 'shard-1'), node('node-3', 'b', 'shard-1', 'unknown')]
    expect(previewTakeOff('b', shop({ nodes })).lines.at(-1)).toContain('its files stay on its disk')
  })

  test('is refused where it may take the last copy', () => {
    const nodes = [
      node('node-1', 'a', 'shard-1'),
      node('node-2', 'b', 'shard-2', 'unknown'),
      node('node-4', 'c', 'shard-2'),
    ]
    expect(objection('b', { nodes })).toBe(
      'shard-2 of shop has no living primary, and what is on b may be the last copy: bring b up once more',
    )
    expect(objection('a', { nodes })).toBeNull()
    const silent = (hostId: string) => [node('node-1', hostId, 'shard-1', 'silent'), node('node-3', 'b', 'shard-1')]
    expect(objection('b', { nodes: silent('a'), shards: [{ id: 'shard-1', primary: 'node-1' }] })).toBeNull()
    expect(objection('b', { nodes: silent('b'), shards: [{ id: 'shard-1', primary: 'node-1' }] })).toContain(
      'no living',
    )
    expect(objection('b', { shards: [{ id: 'shard-1', primary: null }] })).toContain('no living primary')
  })

  test('is refused where nothing of it can move', () => {
    expect(objection('b', { topology: 'standalone' })).toContain('has the only copy of shop')
    expect(objection('b', { wanted: 'down' })).toContain('bring it up first')
    expect(objection('a', { proxy: { hostId: 'a' } })).toContain('the proxy of shop is on a')
    expect(objection('a', { sentinels: [{ id: 'sentinel-1', hostId: 'a', state: 'ok' }] })).toContain('Sentinels stay')
  })

  test('is refused where those left could not keep the copies apart', () => {
    const [a, b] = ['a', 'b'].map((name, index) => ({ name, address: `10.0.0.${index + 1}` }))
    const left = (...hosts: unknown[]) => parseSpec({ name: 'shop', hosts })
    expect(objectionToHostsLeft(left(a, b))).toBeNull()
    expect(objectionToHostsLeft(left(a))).toContain('a shard has 2 copies, and 1 host is left for them')
    expect(objectionToHostsLeft(parseSpec({ name: 'shop', hosts: [a], placement: { spread: 'none' } }))).toBeNull()
  })
})
