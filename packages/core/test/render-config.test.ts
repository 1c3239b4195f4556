import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ConfigInput, EngineBuild } from '../src/index.ts'
import {
  compareVersions,
  engineHas,
  layOut,
  maskSecrets,
  newSecrets,
  openFilesNeeded,
  ownedBy,
  ownedDirectives,
  parseSpec,
  renderConfig,
  supportedSince,
} from '../src/index.ts'

const redis7: EngineBuild = { flavor: 'redis', version: '7.0.15' }
const valkey9: EngineBuild = { flavor: 'valkey', version: '9.1.2' }

function configOf(spec: Record<string, unknown> = {}, over: Partial<ConfigInput> = {}): string {
  const parsed = parseSpec({ name: 'shop', ...spec })
  const [node] = layOut(parsed)
  if (node === undefined) throw new Error('a layout without nodes')
  const secrets = newSecrets(() => 'pass-word')
  return renderConfig({ spec: parsed, node, secrets, engine: redis7, dir: '/home/ada/node-1', ...over })
}

/** The directives of a configuration file, read as the engine reads them; the last line of a name wins. */
function readConfig(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue
    const words = Array.from(line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g), ([, quoted, bare]) =>
      quoted === undefined
        ? (bare ?? '')
        : quoted.replace(/\\(x([0-9a-f]{2})|.)/g, (_, char: string, hex?: string) =>
            hex === undefined ? char : String.fromCharCode(Number.parseInt(hex, 16)),
          ),
    )
    found.set(words[0] ?? '', words.slice(1))
  }
  return found
}

const clients = (openFilesMax?: number) =>
  ownedDirectives(parseSpec({ name: 'shop' }), openFilesMax === undefined ? {} : { openFilesMax })['maxclients']

describe('the configuration of an engine', () => {
  test('says where the node is and what the spec decides', () => {
    const config = readConfig(
      configOf({ memory: { maxPerNode: '1gb' }, timeouts: { node: '2s' }, fullCoverage: 'yes' }),
    )
    const expected = {
      port: ['7001'],
      bind: ['127.0.0.1'],
      dir: ['/home/ada/node-1/data'],
      aclfile: ['/home/ada/node-1/users.acl'],
      logfile: [''],
      'cluster-enabled': ['yes'],
      'cluster-node-timeout': ['2000'],
      'cluster-require-full-coverage': ['yes'],
      maxmemory: [String(1024 ** 3)],
      masteruser: ['replication'],
      masterauth: ['pass-word'],
    }
    for (const [directive, values] of Object.entries(expected)) expect(config.get(directive), directive).toEqual(values)
  })

  test.each([
    ['none', { appendonly: ['no'], save: [''] }],
    ['rdb', { appendonly: ['no'], save: ['60', '10000'], 'rdb-save-incremental-fsync': ['yes'] }],
    ['aof', { appendonly: ['yes'], 'aof-use-rdb-preamble': ['no'], save: [''] }],
    [
      'hybrid',
      {
        appendonly: ['yes'],
        'aof-use-rdb-preamble': ['yes'],
        appendfsync: ['everysec'],
        'auto-aof-rewrite-percentage': ['100'],
        'auto-aof-rewrite-min-size': [String(64 * 1024 ** 2)],
        'aof-rewrite-incremental-fsync': ['yes'],
        save: [''],
      },
    ],
  ])('persistence %s', (persistence, expected) => {
    const config = readConfig(configOf({ persistence }))
    for (const [directive, values] of Object.entries(expected)) expect(config.get(directive), directive).toEqual(values)
  })

  test('saves after 15 minutes, 5 minutes and a minute, by the number of changes', () => {
    expect(configOf({ persistence: 'rdb' }).match(/^save .*$/gm)).toEqual([
      'save 900 1',
      'save 300 10',
      'save 60 10000',
    ])
  })

  test('no two nodes of a deployment begin to save by themselves in the same second, and none too early', () => {
    const spec = parseSpec({ name: 'shop', persistence: 'rdb' })
    const owned = ownedDirectives(spec)
    const each = layOut(spec).map(({ id }) => ownedBy(id, owned))
    expect(each[0]).toEqual(owned)
    expect(each.map(({ save }) => save).slice(1, 3)).toEqual(['918 1 306 10 61 10000', '936 1 312 10 62 10000'])
    for (const name of ['save', 'auto-aof-rewrite-percentage'] as const) {
      expect(new Set(each.map((one) => one[name])).size, name).toBe(6)
    }
    expect(Number(ownedBy('node-12', owned)['auto-aof-rewrite-percentage'])).toBe(122)
    expect(ownedBy('node-13', owned)).toEqual(owned)
    expect(ownedBy('node-4', { appendonly: 'yes' })).toEqual({ appendonly: 'yes' })
    expect(ownedBy('node-4', { save: '' })).toEqual({ save: '' })
  })

  test('leaves out what a version lacks', () => {
    const names = (engine: EngineBuild) => [...readConfig(configOf({}, { engine })).keys()]
    const redis62 = names({ flavor: 'redis', version: '6.2.0' })
    expect(names(redis7)).toContain('appenddirname')
    expect(redis62).not.toContain('appenddirname')
    expect(redis62).toContain('cluster-allow-replica-migration')
    expect(redis62).not.toContain('shutdown-on-sigterm')
    expect(names(redis7)).not.toContain('shutdown-on-sigterm')
    expect(names({ flavor: 'valkey', version: '8.1.4' })).not.toContain('shutdown-on-sigterm')
    expect(readConfig(configOf({}, { engine: valkey9 })).get('shutdown-on-sigterm')).toEqual(['failover'])
  })

  test('the backlog holds two minutes of writes, and a replica may lag by it twice', () => {
    const mb = 1024 ** 2
    expect(ownedDirectives(parseSpec({ name: 'shop' }))['repl-backlog-size']).toBe(String(64 * mb))
    const busy = ownedDirectives(parseSpec({ name: 'shop' }), { writeBytesPerSecond: 10 * mb })
    expect(busy['repl-backlog-size']).toBe(String(1200 * mb))
    expect(busy['client-output-buffer-limit']).toContain(`slave ${2400 * mb} ${1200 * mb} 60`)
    expect(readConfig(configOf({}, { writeBytesPerSecond: 10 * mb })).get('repl-backlog-size')).toEqual([
      String(1200 * mb),
    ])
  })

  test('asks for no more clients than the machine allows files', () => {
    expect(clients()).toBe('10000')
    expect(clients(openFilesNeeded)).toBe('10000')
    expect(clients(1_000_000)).toBe('10000')
    expect(clients(4096)).toBe('4064')
  })

  test('the spec has the last word on what is not owned, and the only one on what it names', () => {
    const text = configOf({ config: { appendfsync: 'always', 'client-output-buffer-limit': 'pubsub 1mb 1mb 9' } })
    expect(text.match(/^appendfsync .*$/gm)).toEqual(['appendfsync always'])
    expect(text.match(/^client-output-buffer-limit .*$/gm)).toEqual(['client-output-buffer-limit pubsub 1mb 1mb 9'])
    const spec = parseSpec({ name: 'shop', config: { 'client-output-buffer-limit': 'pubsub 1mb 1mb 9' } })
    expect(ownedDirectives(spec)).not.toHaveProperty('client-output-buffer-limit')
  })

  test('yes and no of YAML are the engine’s', () => {
    const config = readConfig(configOf({ config: { activedefrag: true, 'dynamic-hz': false, hz: 20 } }))
    expect(config.get('activedefrag')).toEqual(['yes'])
    expect(config.get('dynamic-hz')).toEqual(['no'])
    expect(config.get('hz')).toEqual(['20'])
  })

  test('any value is one value, on its own line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), (value) => {
        const [node] = layOut(parseSpec({ name: 'shop' }))
        if (node === undefined) throw new Error('a layout without nodes')
        const text = configOf({}, { secrets: { replication: value }, dir: `/a${value}` })
        expect(readConfig(text).get('masterauth')).toEqual([value])
        expect(readConfig(text).get('dir')).toEqual([`/a${value}/data`])
      }),
    )
  })

  test('is masked before people see it', () => {
    const masked = maskSecrets(configOf({}, { secrets: { replication: 'a canary "in" a cage' } }))
    expect(masked).not.toContain('canary')
    expect(masked).not.toContain('cage')
    expect(masked).toContain('\nmasterauth ****\n')
    expect(masked.replace(/^masterauth .*$/m, '')).toBe(configOf().replace(/^masterauth .*$/m, ''))
    expect(maskSecrets(`user app on #${'0f'.repeat(32)} ~* >canary-canary +@all`)).toBe(
      'user app on #**** ~* >**** +@all',
    )
  })

  test('what is owned has no secret, and is in the file', () => {
    const owned = ownedDirectives(parseSpec({ name: 'shop', persistence: 'rdb' }), { engine: valkey9 })
    expect(Object.keys(owned)).not.toContain('masterauth')
    const config = readConfig(configOf({ persistence: 'rdb' }, { engine: valkey9 }))
    for (const directive of Object.keys(owned)) expect(config.has(directive), directive).toBe(true)
  })
})

describe('versions', () => {
  test('are compared by number, part by part', () => {
    expect(compareVersions('7.0.15', '7.0.9')).toBeGreaterThan(0)
    expect(compareVersions('7.2', '7.2.0')).toBe(0)
    expect(compareVersions('6.2.19', '7')).toBeLessThan(0)
  })

  test('count for their flavor', () => {
    expect(engineHas({ flavor: 'redis', version: '6.2.0' }, supportedSince)).toBe(true)
    expect(engineHas({ flavor: 'redis', version: '6.0.16' }, supportedSince)).toBe(false)
    expect(engineHas({ flavor: 'valkey', version: '7.2.4' }, supportedSince)).toBe(true)
    expect(engineHas(redis7, { redis: null, valkey: '9.0' })).toBe(false)
  })
})

describe('an engine outside a Cluster', () => {
  test('has no directive of one', () => {
    const text = configOf({ topology: 'standalone' })
    expect([...readConfig(text)].filter(([name]) => name.startsWith('cluster-'))).toEqual([['cluster-enabled', ['no']]])
    expect(Object.keys(ownedDirectives(parseSpec({ name: 'shop', topology: 'standalone' })))).not.toContainEqual(
      expect.stringMatching(/^cluster-/),
    )
  })
})

describe('class durable', () => {
  const fields = { durability: 'durable', replicasPerShard: 2 }

  test('its file holds an engine that nobody but Holdfast starts, and what runs is let go', () => {
    const config = readConfig(configOf(fields))
    const owned = ownedDirectives(parseSpec({ name: 'shop', ...fields }))
    expect(config.get('repl-diskless-sync')).toEqual(['yes'])
    expect(Number(config.get('repl-diskless-sync-delay')?.[0])).toBeGreaterThan(86_400 * 365)
    expect([owned['repl-diskless-sync'], owned['repl-diskless-sync-delay']]).toEqual(['no', '0'])
    expect(config.get('min-replicas-to-write')).toEqual(['1'])
    expect(config.get('min-replicas-max-lag')).toEqual(['2'])
  })

  test('keeps the engines from electing by themselves, unless the spec accepts that', () => {
    const native = { ...fields, durability: { class: 'durable', fallback: 'native' } }
    expect(readConfig(configOf(fields)).get('cluster-replica-no-failover')).toEqual(['yes'])
    expect(readConfig(configOf(native)).get('cluster-replica-no-failover')).toEqual(['no'])
    expect(readConfig(configOf({})).get('cluster-replica-no-failover')).toEqual(['no'])
    expect(configOf(fields, { engine: valkey9 })).not.toContain('shutdown-on-sigterm')
  })
})
