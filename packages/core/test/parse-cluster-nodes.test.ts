import { describe, expect, test } from 'vitest'
import { parseClusterNodes } from '../src/index.ts'

const a = 'a'.repeat(40)
const b = 'b'.repeat(40)
const c = 'c'.repeat(40)
const lines = (...some: readonly string[]): string => `${some.join('\n')}\n`

describe('CLUSTER NODES', () => {
  test('of Redis 7.0: primaries with slots, replicas, and who speaks', () => {
    const view = parseClusterNodes(
      lines(
        `${a} 127.0.0.1:7001@17001 myself,master - 0 1718000000000 1 connected 0-5460 5462`,
        `${b} 127.0.0.1:7002@17002 master - 0 1718000000500 2 connected 5461 5463-16383`,
        `${c} 127.0.0.1:7003@17003 slave ${a} 0 1718000000400 1 connected`,
      ),
    )
    expect(view.me).toBe(a)
    expect(view.open).toEqual([])
    expect(view.entries).toEqual([
      {
        engineId: a,
        address: '127.0.0.1',
        port: 7001,
        role: 'primary',
        follows: null,
        health: 'ok',
        handshake: false,
        linked: true,
        configEpoch: 1,
        slots: [
          [0, 5460],
          [5462, 5462],
        ],
      },
      expect.objectContaining({
        engineId: b,
        configEpoch: 2,
        slots: [
          [5461, 5461],
          [5463, 16383],
        ],
      }),
      expect.objectContaining({ engineId: c, port: 7003, role: 'replica', follows: a, slots: [] }),
    ])
  })

  test('of a node that knows nobody: it has no address yet', () => {
    const view = parseClusterNodes(lines(`${a} :7001@17001 myself,master - 0 0 0 connected`))
    expect(view.entries).toEqual([expect.objectContaining({ address: '', port: 7001, configEpoch: 0, slots: [] })])
  })

  test('with host names, and with the fields that Redis 7.2 and Valkey append', () => {
    const view = parseClusterNodes(
      lines(
        `${a} 10.0.0.4:7001@17001,cache-1.example myself,master - 0 0 3 connected 0-16383`,
        `${b} 10.0.0.5:7002@17002,,tls-port=0,shard-id=${c} slave ${a} 0 1718000000400 3 connected`,
        `${c} 10.0.0.6:7003@17003,cache-3.example,tls-port=0,shard-id=${b} slave ${a} 0 1718000000400 3 connected`,
      ),
    )
    expect(view.entries.map(({ address, port }) => `${address} ${port}`)).toEqual([
      '10.0.0.4 7001',
      '10.0.0.5 7002',
      '10.0.0.6 7003',
    ])
  })

  test('with an IPv6 address', () => {
    const view = parseClusterNodes(lines(`${a} ::1:7001@17001 myself,master - 0 0 1 connected`))
    expect(view.entries[0]).toMatchObject({ address: '::1', port: 7001 })
  })

  test('tells one suspicion from the verdict of the majority', () => {
    const view = parseClusterNodes(
      lines(
        `${a} 127.0.0.1:7001@17001 myself,master - 0 0 1 connected`,
        `${b} 127.0.0.1:7002@17002 master,fail? - 1718000000000 1718000000000 2 connected`,
        `${c} 127.0.0.1:7003@17003 master,fail - 1718000000000 1718000000000 3 disconnected`,
      ),
    )
    expect(view.entries.map(({ health, linked }) => [health, linked])).toEqual([
      ['ok', true],
      ['fail?', true],
      ['fail', false],
    ])
  })

  test('tells a handshake, and an entry that has lost its address', () => {
    const view = parseClusterNodes(
      lines(
        `${a} 127.0.0.1:7001@17001 myself,master - 0 0 1 connected`,
        `${b} 127.0.0.1:7002@17002 handshake - 1718000000000 0 0 disconnected`,
        `${c} :0@0 slave,fail,noaddr ${a} 1718000000000 1718000000000 1 disconnected`,
      ),
    )
    expect(view.entries[1]).toMatchObject({ handshake: true, role: 'unknown', linked: false, health: 'ok' })
    expect(view.entries[2]).toMatchObject({ port: 0, role: 'replica', health: 'fail', handshake: false })
  })

  test('a replica that may not take over is a replica', () => {
    const view = parseClusterNodes(lines(`${a} 127.0.0.1:7001@17001 myself,slave,nofailover ${b} 0 0 1 connected`))
    expect(view.entries[0]).toMatchObject({ role: 'replica', follows: b })
  })

  test('slots on their way are no slots that it owns, and their keys are not counted yet', () => {
    const view = parseClusterNodes(
      lines(`${a} 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-99 [93->-${b}] [200-<-${c}]`),
    )
    expect(view.entries[0]?.slots).toEqual([[0, 99]])
    expect(view.open).toEqual([
      { slot: 93, direction: 'migrating', peer: b, keys: null },
      { slot: 200, direction: 'importing', peer: c, keys: null },
    ])
  })

  test('what a replica repeats of its primary is not open at the replica', () => {
    const view = parseClusterNodes(
      lines(`${a} 127.0.0.1:7001@17001,,tls-port=0,shard-id=${c} myself,slave ${b} 0 0 1 connected [93->-${c}]`),
    )
    expect(view.open).toEqual([])
  })

  test.each<[title: string, text: string]>([
    ['nothing', ''],
    ['nobody who is myself', lines(`${a} 127.0.0.1:7001@17001 master - 0 0 1 connected`)],
    ['half a line', lines(`${a} 127.0.0.1:7001@17001`)],
    ['a line without a link', lines(`${a} 127.0.0.1:7001@17001 myself,master - 0 0 1`)],
    ['an epoch that is no number', lines(`${a} 127.0.0.1:7001@17001 myself,master - 0 0 x connected`)],
    ['a port that is no number', lines(`${a} 127.0.0.1:seven@17001 myself,master - 0 0 1 connected`)],
    ['an address without a bus', lines(`${a} 127.0.0.1:7001 myself,master - 0 0 1 connected`)],
    ['a slot that is no number', lines(`${a} 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-x`)],
    ['an open slot of another kind', lines(`${a} 127.0.0.1:7001@17001 myself,master - 0 0 1 connected [93-!-${b}]`)],
    ['an error instead', 'ERR This instance has cluster support disabled'],
  ])('%s is refused: a wrong view is worse than none', (_title, text) => {
    expect(() => parseClusterNodes(text)).toThrow(/CLUSTER NODES/)
  })
})
