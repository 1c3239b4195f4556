/** Who may do what, by the engine's own word: `ACL DRYRUN` judges a command without doing it. */
import { createHash } from 'node:crypto'
import type { EngineUser } from '@holdfast/core'
import { engineHas, newSecrets, rightsOf } from '@holdfast/core'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EngineBinary } from '../../packages/control/src/binary/find.ts'
import { newPassword } from '../../packages/control/src/new-password.ts'
import { findTestEngine } from '../support/engines.ts'
import type { OneEngine } from '../support/one-engine.ts'
import { startOneEngine } from '../support/one-engine.ts'

/** What ends, empties, reveals or reconfigures an engine, whatever else a user may do. */
const harmful = [
  'FLUSHALL',
  'FLUSHDB',
  'KEYS *',
  'SHUTDOWN NOSAVE',
  'DEBUG SLEEP 0',
  'CONFIG GET masterauth',
  'CONFIG SET dir /tmp',
  'CONFIG REWRITE',
  'CLUSTER FAILOVER FORCE',
  'CLUSTER RESET HARD',
  'CLUSTER FORGET 0123456789012345678901234567890123456789',
  'CLUSTER MEET 10.0.0.1 7001',
  'REPLICAOF 10.0.0.1 7001',
  'MIGRATE 10.0.0.1 7001 a 0 1000',
  'RESTORE a 0 x',
  'MODULE LOAD /tmp/x.so',
  'ACL LIST',
  'ACL SETUSER eve on nopass +@all',
  'CLIENT LIST',
  'CLIENT KILL TYPE normal',
  'CLIENT PAUSE 1000',
  'MONITOR',
  'SAVE',
  'BGSAVE',
  'BGREWRITEAOF',
  'SLOWLOG GET',
  'LATENCY RESET',
  'SYNC',
  'PSYNC ? -1',
  'SWAPDB 0 1',
]

/** By which clients of all kinds begin. */
const greeting = ['PING', 'HELLO 3', 'SELECT 0', 'CLIENT SETNAME x', 'CLIENT ID', 'INFO', 'ROLE']
const ofCluster = ['SLOTS', 'SHARDS', 'NODES', 'MYID', 'INFO', 'KEYSLOT a'].map((word) => `CLUSTER ${word}`)

const data = ['GET a', 'SET a 1', 'DEL a', 'HSET a f v', 'ZADD a 1 m', 'SCAN 0', 'SORT a', 'WAIT 1 10', 'BLPOP a 1']
const scripts = ['EVAL return 0', 'FUNCTION LIST', 'MULTI', 'EXEC', 'WATCH a']
const pubSub = ['SUBSCRIBE c', 'PUBLISH c m', 'SSUBSCRIBE c']

interface Row {
  readonly user: string
  readonly may: readonly string[]
  readonly mayNot: readonly string[]
}

const table: readonly Row[] = [
  {
    user: 'app',
    may: [...greeting, ...ofCluster, ...data, ...scripts, ...pubSub, 'CLIENT TRACKING ON'],
    mayNot: harmful,
  },
  {
    user: 'replication',
    may: ['PSYNC ? -1', 'REPLCONF listening-port 1', 'PING'],
    mayNot: ['GET a', 'SET a 1', 'INFO', 'CONFIG GET masterauth', 'SYNC', 'SUBSCRIBE c', 'CLUSTER NODES', 'ROLE'],
  },
  {
    user: 'probe',
    may: ['PING', 'INFO', 'ROLE', 'CLUSTER NODES', 'CLUSTER INFO', 'CLUSTER MYID', 'CLUSTER COUNTKEYSINSLOT 0'],
    mayNot: ['GET a', 'SET a 1', 'SCAN 0', 'RANDOMKEY', 'EVAL return 0', 'SUBSCRIBE c', 'PUBLISH c m', ...harmful],
  },
  {
    user: 'sentinel',
    may: [
      'PING',
      'INFO',
      'SUBSCRIBE __sentinel__:hello',
      'PUBLISH __sentinel__:hello m',
      'MULTI',
      'EXEC',
      'SLAVEOF NO ONE',
      'CONFIG REWRITE',
      'CLIENT KILL TYPE normal',
      'SCRIPT KILL',
    ],
    mayNot: [
      'GET a',
      'SET a 1',
      'SUBSCRIBE c',
      'PUBLISH c m',
      'CONFIG GET masterauth',
      'CONFIG SET dir /tmp',
      'FLUSHALL',
    ],
  },
  // Of the spec: what it says, on the keys and channels that it says.
  {
    user: 'reports',
    may: [...greeting, ...ofCluster, 'GET orders:1', 'HGETALL orders:1', 'SCAN 0'],
    mayNot: ['GET a', 'SET orders:1 x', 'DEL orders:1', 'SUBSCRIBE c', 'EVAL return 0', ...harmful],
  },
  {
    user: 'batch',
    may: [...greeting, 'SET jobs:1 x', 'SUBSCRIBE news:eu', 'PUBLISH news:eu m', 'EVAL return 0'],
    mayNot: ['SET a 1', 'GET orders:1', 'SUBSCRIBE c', 'PUBLISH c m', ...harmful],
  },
  // Harm is not asked for by a whole category, only by its name.
  {
    user: 'keeper',
    may: [...greeting, 'GET a', 'SET a 1', 'KEYS *'],
    mayNot: harmful.filter((command) => command !== 'KEYS *'),
  },
]

const users = [
  { name: 'reports', keys: ['orders:*'], commands: ['+@read', '+@hash', '-@write', '-@scripting'] },
  { name: 'batch', keys: ['jobs:*'], channels: ['news:*'] },
  { name: 'keeper', keys: ['*'], commands: ['+@all', '+keys'] },
]

describe('by ACL DRYRUN', () => {
  let binary: EngineBinary
  let engine: OneEngine | undefined
  let judge: (user: string, command: string) => Promise<string>
  let close = (): void => {}

  beforeAll(async () => {
    binary = await findTestEngine()
    const names = [...Object.keys(newSecrets(newPassword)), ...users.map(({ name }) => name)]
    const secrets = Object.fromEntries(names.map((name) => [name, newPassword()]))
    engine = await startOneEngine({ binary, secrets, input: { security: { users } } })
    const { address: host, port } = engine.node
    const client = createClient({
      RESP: 2,
      socket: { host, port },
      username: 'admin',
      password: secrets['admin'] ?? '',
    })
    client.on('error', () => undefined)
    await client.connect()
    close = () => client.destroy()
    // An engine of a Cluster has no such user; what it may is asked of this one all the same.
    await client.sendCommand(['ACL', 'SETUSER', 'sentinel', 'on', ...rightsOf('sentinel', binary).split(' ')])
    judge = async (user, command) => {
      const words = command.startsWith('EVAL ') ? ['EVAL', command.slice(5), '0'] : command.split(' ')
      const verdict: unknown = await client.sendCommand(['ACL', 'DRYRUN', user, ...words])
      return typeof verdict === 'string' ? verdict : JSON.stringify(verdict)
    }
  })

  afterAll(async () => {
    close()
    await engine?.stop()
  })

  test.each(table)('$user may what it needs, and nothing else', async ({ user, may, mayNot }) => {
    // Before 7.0 an engine judges nothing without doing it.
    if (!engineHas(binary, { redis: '7.0', valkey: '7.2' })) return
    const verdicts = async (commands: readonly string[]): Promise<Record<string, string>> =>
      Object.fromEntries(await Promise.all(commands.map(async (one) => [one, await judge(user, one)] as const)))
    const allowed = await verdicts(may)
    expect(Object.entries(allowed).filter(([, verdict]) => verdict !== 'OK')).toEqual([])
    const refused = await verdicts(mayNot)
    expect(Object.entries(refused).filter(([, verdict]) => !verdict.includes('no permissions'))).toEqual([])
  })

  test('every user of ours is in the table, but for the one who may everything and leaves no machine', () => {
    const ours: EngineUser[] = ['app', 'replication', 'probe', 'sentinel']
    expect(
      Object.keys(newSecrets(newPassword))
        .filter((user) => user !== 'admin')
        .sort(),
    ).toEqual([...ours].sort())
    for (const user of ours) expect(table.map((row) => row.user)).toContain(user)
  })

  test('no user is without a password, and no password is in clear', async () => {
    if (engine === undefined) throw new Error('there is no engine')
    const listed = await engine.ask('admin', 'ACL', 'LIST')
    expect(listed).not.toContain('nopass')
    expect(listed).not.toMatch(/hfs_/)
    expect(listed).not.toContain(createHash('sha256').update('').digest('hex'))
    expect(await engine.ask('default', 'PING')).toContain('WRONGPASS')
  })
})
