import { describe, expect, test } from 'vitest'
import { engineVersion, infoNumber, keyCount, parseInfo, parseReplication } from '../src/index.ts'

const reply = (text: string): string => text.trim().replaceAll('\n', '\r\n')

const primary = reply(`
# Server
redis_version:7.0.15
redis_mode:cluster
executable:/usr/bin/redis-server
config_file:/srv/a:b/engine.conf
uptime_in_seconds:73

# Memory
used_memory:1893248
maxmemory:268435456

# Replication
role:master
connected_slaves:2
slave0:ip=127.0.0.1,port=7004,state=online,offset=1400,lag=0
slave1:ip=127.0.0.1,port=7007,state=wait_bgsave,offset=0,lag=3
master_failover_state:no-failover
master_replid:aaaa
master_replid2:0000
master_repl_offset:1428
second_repl_offset:-1

# Cluster
cluster_enabled:1

# Keyspace
db0:keys=600,expires=12,avg_ttl=0
db3:keys=2,expires=0,avg_ttl=0
`)

const replica = reply(`
# Server
redis_version:7.0.15

# Replication
role:slave
master_host:127.0.0.1
master_port:7001
master_link_status:up
master_last_io_seconds_ago:1
master_sync_in_progress:0
slave_read_repl_offset:1428
slave_repl_offset:1414
slave_priority:100
slave_read_only:1
connected_slaves:0
master_replid:aaaa
master_replid2:bbbb
master_repl_offset:1428
`)

const replace = (text: string, from: string, to: string): string => {
  expect(text).toContain(from)
  return text.replace(from, to)
}

describe('INFO', () => {
  test('is fields by name; a value keeps its colons', () => {
    const info = parseInfo(primary)
    expect(info.get('redis_mode')).toBe('cluster')
    expect(info.get('config_file')).toBe('/srv/a:b/engine.conf')
    expect(info.has('# Server')).toBe(false)
  })

  test('a number that is missing is an error, never a zero', () => {
    const info = parseInfo(reply('used_memory:12\nempty:\nword:many'))
    expect(infoNumber(info, 'used_memory')).toBe(12)
    expect(() => infoNumber(info, 'maxmemory')).toThrow('INFO has no number maxmemory')
    expect(() => infoNumber(info, 'empty')).toThrow('INFO has no number empty')
    expect(() => infoNumber(info, 'word')).toThrow('INFO has no number word')
  })

  test('keys are counted over all databases; no database has none', () => {
    expect(keyCount(parseInfo(primary))).toBe(602)
    expect(keyCount(parseInfo(replica))).toBe(0)
  })

  test('Valkey is told by its own version, not by the one that it answers for compatibility', () => {
    expect(engineVersion(parseInfo(primary))).toBe('7.0.15')
    expect(engineVersion(parseInfo(reply('redis_version:7.2.4\nserver_name:valkey\nvalkey_version:8.1.1')))).toBe(
      '8.1.1',
    )
    expect(engineVersion(parseInfo(''))).toBe('unknown')
  })
})

describe('what INFO says of replication', () => {
  test('on a primary: its history, its offset, and how far each replica is', () => {
    expect(parseReplication(parseInfo(primary))).toEqual({
      role: 'primary',
      replid: 'aaaa',
      replidBefore: '0000',
      offsetBefore: null,
      offset: 1428,
      link: null,
      replicas: [
        { address: '127.0.0.1', port: 7004, online: true, offset: 1400, ackAgeSeconds: 0 },
        { address: '127.0.0.1', port: 7007, online: false, offset: 0, ackAgeSeconds: 3 },
      ],
    })
  })

  test('on a replica: what it has applied, not what it has read', () => {
    expect(parseReplication(parseInfo(replica))).toEqual({
      role: 'replica',
      replid: 'aaaa',
      replidBefore: 'bbbb',
      offsetBefore: null,
      offset: 1414,
      link: { state: 'up', downSeconds: 0, primaryAddress: '127.0.0.1', primaryPort: 7001, priority: 100 },
      replicas: [],
    })
  })

  test('one that went on from another history says the first byte that it does not share', () => {
    const beganAt = (first: number) =>
      parseReplication(parseInfo(primary.replace('second_repl_offset:-1', `second_repl_offset:${first}`))).offsetBefore
    expect(beganAt(729)).toBe(728)
    expect(beganAt(-1)).toBeNull()
  })

  test('a link that is down, since when', () => {
    const text = replace(
      replica,
      'master_link_status:up',
      'master_link_status:down\r\nmaster_link_down_since_seconds:9',
    )
    expect(parseReplication(parseInfo(text)).link).toEqual({
      state: 'down',
      downSeconds: 9,
      primaryAddress: '127.0.0.1',
      primaryPort: 7001,
      priority: 100,
    })
  })

  test('a link that was never up is down for no known time, not for minus one second', () => {
    const text = replace(
      replica,
      'master_link_status:up',
      'master_link_status:down\r\nmaster_link_down_since_seconds:-1',
    )
    expect(parseReplication(parseInfo(text)).link).toMatchObject({ state: 'down', downSeconds: 0 })
  })

  test('a sync in progress is no link that is up', () => {
    const text = replace(replica, 'master_sync_in_progress:0', 'master_sync_in_progress:1')
    expect(parseReplication(parseInfo(text)).link).toMatchObject({ state: 'syncing' })
  })

  test('without a role, or without an offset, it is an error', () => {
    expect(() => parseReplication(parseInfo(reply('redis_version:7.0.15')))).toThrow('INFO has no')
    expect(() => parseReplication(parseInfo(replace(replica, 'slave_repl_offset:1414\r\n', '')))).toThrow(
      'INFO has no number slave_repl_offset',
    )
  })
})
