import { describe, expect, test } from 'vitest'
import type { DeploymentFacts } from '../src/index.ts'
import { clientNamed, clients, HoldfastError, parseConnectionString, urlFor } from '../src/index.ts'

const facts: DeploymentFacts = {
  topology: 'cluster',
  sentinels: [],
  masterName: 'shop',
  nodes: [
    { address: '127.0.0.1', port: 7001 },
    { address: '127.0.0.1', port: 7002 },
  ],
  user: 'app',
  password: 'canary',
}
const awkward = { ...facts, password: `a b'c"d\\e$f:@/` }
const watched: DeploymentFacts = {
  ...facts,
  topology: 'sentinel',
  sentinels: [27001, 27002, 27003].map((port) => ({ address: '127.0.0.1', port })),
}
const shown = { showSecret: true }

describe('how a client connects', () => {
  test.each(clients)('%s shows the password only if asked', (client) => {
    expect(urlFor(client, facts, { showSecret: false })).not.toContain('canary')
    expect(urlFor(client, facts, { showSecret: false })).toContain('****')
    expect(urlFor(client, facts, shown)).toContain('canary')
  })

  test.each(clients.filter((client) => client !== 'redis' && client !== 'redis-cli'))(
    '%s is told every node',
    (client) => {
      for (const port of ['7001', '7002']) expect(urlFor(client, facts, shown)).toContain(port)
    },
  )

  const libraries = clients.filter((client) => !['holdfast', 'redis', 'redis-cli'].includes(client))

  test.each(libraries)('%s asks the Sentinels for the primary by name, signed in', (client) => {
    const text = urlFor(client, watched, shown)
    for (const word of ['27001', '27002', '27003', 'shop', 'app', 'canary']) expect(text).toContain(word)
    expect(text).not.toContain('7002,')
    expect(urlFor(client, watched, { showSecret: false })).not.toContain('canary')
  })

  test.each(libraries)('%s goes to the one node of a standalone deployment', (client) => {
    const text = urlFor(client, { ...facts, topology: 'standalone' }, shown)
    expect(text).toContain('7001')
    expect(text).not.toMatch(/7002|luster/)
  })

  test('outside a Cluster redis-cli follows no redirections, and goes to the primary', () => {
    expect(urlFor('redis-cli', watched, shown)).toBe('REDISCLI_AUTH=canary redis-cli -h 127.0.0.1 -p 7001 --user app')
  })

  test('the connection string names the Sentinels and the primary', () => {
    expect(parseConnectionString(urlFor('holdfast', watched, shown))).toMatchObject({
      topology: 'sentinel',
      hosts: watched.sentinels,
      masterName: 'shop',
    })
  })

  test('holdfast gets a connection string that it can read back', () => {
    expect(parseConnectionString(urlFor('holdfast', awkward, shown))).toMatchObject({
      topology: 'cluster',
      hosts: facts.nodes,
      user: 'app',
      password: awkward.password,
    })
  })

  test('redis gets the URL of one node', () => {
    expect(urlFor('redis', facts, shown)).toBe('redis://app:canary@127.0.0.1:7001')
    expect(decodeURIComponent(new URL(urlFor('redis', awkward, shown)).password)).toBe(awkward.password)
  })

  test('redis-cli gets a command whose password is not among its arguments', () => {
    expect(urlFor('redis-cli', facts, shown)).toBe('REDISCLI_AUTH=canary redis-cli -c -h 127.0.0.1 -p 7001 --user app')
    expect(urlFor('redis-cli', awkward, shown)).toContain(`REDISCLI_AUTH='a b'\\''c"d\\e$f:@/' `)
  })

  test('an IPv6 address is put in brackets where a port follows it', () => {
    const six = { ...facts, nodes: [{ address: '::1', port: 7001 }] }
    expect(urlFor('redis', six, shown)).toBe('redis://app:canary@[::1]:7001')
    expect(urlFor('go-redis', six, shown)).toContain('"[::1]:7001"')
    expect(urlFor('redis-cli', six, shown)).toContain('-h ::1 -p 7001')
  })

  test('an unknown client is refused with those that are known', () => {
    expect(clientNamed('jedis')).toBe('jedis')
    expect(() => clientNamed('telnet')).toThrow(HoldfastError)
    expect(() => clientNamed('telnet')).toThrow('--as is one of holdfast, redis, ioredis')
  })

  test('a deployment without nodes has no address', () => {
    expect(() => urlFor('redis', { ...facts, nodes: [] }, shown)).toThrow('no nodes')
  })
})

describe('with TLS', () => {
  const secured = (topology: DeploymentFacts['topology']): DeploymentFacts => ({
    ...watched,
    topology,
    authority: 'CA',
  })
  const topologies = ['cluster', 'sentinel', 'standalone'] as const

  test.each(topologies)('every client of a %s deployment believes its authority', (topology) => {
    for (const client of clients.filter((one) => one !== 'holdfast' && one !== 'redis')) {
      expect(urlFor(client, secured(topology), shown)).toContain('shop-ca.crt')
    }
    expect(parseConnectionString(urlFor('holdfast', secured(topology), shown))).toMatchObject({ topology, tls: true })
    expect(urlFor('redis', secured(topology), shown)).toMatch(/^rediss:/)
  })

  test('without it nothing of it is said', () => {
    for (const topology of topologies) {
      for (const client of clients)
        expect(urlFor(client, { ...watched, topology }, shown)).not.toMatch(/tls|ssl|rediss|-ca/i)
    }
  })
})
