import { describe, expect, test } from 'vitest'
import type { FirewallInput } from '../../src/index.ts'
import { firewallOf, HoldfastError, renderFirewall } from '../../src/index.ts'

type Node = FirewallInput['status']['nodes'][number]

const nodeAt = (host: string, port: number): Node => ({ host, port }) as Node

const threeHosts: FirewallInput = {
  status: {
    name: 'shop',
    topology: 'cluster',
    nodes: [
      nodeAt('10.77.0.11', 7001),
      nodeAt('10.77.0.12', 7002),
      nodeAt('10.77.0.13', 7003),
      nodeAt('10.77.0.11', 7004),
      nodeAt('10.77.0.11', 7005),
    ],
    sentinels: [],
    proxy: null,
  },
  clients: ['10.20.0.0/16', '10.30.0.7'],
  agents: [
    { name: 'a', address: '10.77.0.11', port: 7600 },
    { name: 'b', address: '10.77.0.12', port: 7600 },
    { name: 'c', address: '10.77.0.13', port: 7600 },
  ],
  controllers: [{ address: '10.77.0.11', joinPort: 7501 }],
  etcd: [],
  joining: [],
}

const table = (input: FirewallInput): string[] =>
  renderFirewall(firewallOf(input), 'security-group')
    .trimEnd()
    .split('\n')
    .slice(2)
    .map((line) => line.replace(/ {2,}/g, ' | '))

describe('a firewall', () => {
  test('lets clients to the engines, hosts to each other, and controllers to agents and engines', () => {
    const toFirst = table(threeHosts).filter((line) => line.startsWith('10.77.0.11'))
    expect(toFirst).toEqual([
      '10.77.0.11 | tcp | 7001 | 10.20.0.0/16 | applications',
      '10.77.0.11 | tcp | 7004-7005 | 10.20.0.0/16 | applications',
      '10.77.0.11 | tcp | 7001 | 10.30.0.7/32 | applications',
      '10.77.0.11 | tcp | 7004-7005 | 10.30.0.7/32 | applications',
      ...['11', '12', '13'].flatMap((host) =>
        ['7001', '7004-7005', '17001', '17004-17005'].map(
          (ports) => `10.77.0.11 | tcp | ${ports} | 10.77.0.${host}/32 | replication, cluster bus`,
        ),
      ),
      '10.77.0.11 | tcp | 7001 | 10.77.0.11/32 | the controller looks at engines',
      '10.77.0.11 | tcp | 7004-7005 | 10.77.0.11/32 | the controller looks at engines',
      '10.77.0.11 | tcp | 7600 | 10.77.0.11/32 | the agent',
      ...['11', '12', '13'].map(
        (host) => `10.77.0.11 | tcp | 7600 | 10.77.0.${host}/32 | agents ask each other who is still there`,
      ),
      ...['11', '12', '13'].map((host) => `10.77.0.11 | tcp | 7501 | 10.77.0.${host}/32 | hosts join and renew`),
    ])
  })

  test('never lets a client to the cluster bus, an agent, the join door or etcd', () => {
    const etcd = [{ address: '10.77.0.11', clientPort: 2379, peerPort: 2380 }]
    const forClients = table({ ...threeHosts, etcd }).filter((line) => line.includes('10.20.0.0/16'))
    expect(forClients.map((line) => line.split(' | ')[2])).toEqual(['7001', '7004-7005', '7002', '7003'])
  })

  test('of Sentinels and a proxy lets clients ask both', () => {
    const status = {
      name: 'basket',
      topology: 'sentinel',
      nodes: [nodeAt('10.77.0.11', 7001), nodeAt('10.77.0.12', 7002)],
      sentinels: [{ host: '10.77.0.13', port: 7003 }],
      proxy: { host: '10.77.0.12', port: 7101, replicaPort: 7102 },
    } as unknown as FirewallInput['status']
    const lines = table({ ...threeHosts, status, clients: ['10.20.0.0/16'], agents: [], controllers: [] })
    expect(lines).toContain('10.77.0.12 | tcp | 7101-7102 | 10.20.0.0/16 | applications')
    expect(lines).toContain('10.77.0.13 | tcp | 7003 | 10.77.0.11/32 | replication, Sentinels')
    expect(lines.filter((line) => line.includes('1700'))).toEqual([])
  })

  test('as nftables is a table of its own, that closes the same ports to all others', () => {
    const text = renderFirewall(firewallOf(threeHosts), 'nftables')
    expect(text).toContain(`  set clients_ip {
    type ipv4_addr; flags interval; auto-merge
    elements = { 10.20.0.0/16, 10.30.0.7 }
  }`)
    expect(text).toContain('ip saddr @clients_ip ip daddr 10.77.0.12 tcp dport { 7002 } accept comment "applications"')
    expect(text).toContain('ip daddr 10.77.0.11 tcp dport { 7001, 7004-7005, 7501, 7600, 17001, 17004-17005 } drop')
    expect(text.indexOf('drop')).toBeGreaterThan(text.lastIndexOf('accept comment'))
  })

  test('as ufw allows before it denies, and asks for no more ports at once than it takes', () => {
    const nodes = Array.from({ length: 20 }, (_, index) => nodeAt('10.77.0.11', 7001 + 2 * index))
    const status = { ...threeHosts.status, nodes }
    const lines = renderFirewall(firewallOf({ ...threeHosts, status }), 'ufw')
      .trimEnd()
      .split('\n')
      .slice(1)
    expect(lines[0]).toBe(
      "ufw allow proto tcp from 10.20.0.0/16 to 10.77.0.11 port 7001,7003,7005,7007,7009,7011,7013 comment 'shop: applications'",
    )
    const verdicts = lines.map((line) => line.split(' ')[1])
    expect(verdicts.lastIndexOf('allow')).toBeLessThan(verdicts.indexOf('deny'))
    for (const line of lines)
      expect(line.split(' port ')[1]?.split(' ')[0]?.split(/[,:]/).length).toBeLessThanOrEqual(15)
  })

  test('keeps the families of addresses apart', () => {
    const status = { ...threeHosts.status, nodes: [nodeAt('fd00::11', 7001), nodeAt('10.77.0.12', 7002)] }
    const clients = ['fd00:20::/32', '10.20.0.0/16']
    const text = renderFirewall(firewallOf({ ...threeHosts, status, clients }), 'nftables')
    expect(text).toContain('ip6 saddr @clients_ip6 ip6 daddr fd00::11 tcp dport { 7001 } accept')
    expect(text).toContain('ip saddr @clients_ip ip daddr 10.77.0.12 tcp dport { 7002 } accept')
  })

  test('of one machine has nothing to open, and nothing to close', () => {
    const nodes = [nodeAt('127.0.0.1', 7001), nodeAt('127.0.0.1', 7002)]
    const input = { ...threeHosts, status: { ...threeHosts.status, nodes }, agents: [], controllers: [] }
    expect(firewallOf(input).openings).toEqual([])
  })

  test.each(['shop.example', '10.20.0.0/33', '10.20.0.7; accept', '', '10.20.0.0/16 }'])('refuses "%s"', (text) => {
    expect(() => firewallOf({ ...threeHosts, clients: [text] })).toThrow(HoldfastError)
    const nodes = [nodeAt(text, 7001)]
    expect(() => firewallOf({ ...threeHosts, status: { ...threeHosts.status, nodes } })).toThrow(
      'A firewall knows no names',
    )
  })
})
