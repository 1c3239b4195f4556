/**
 * What is sent to a host is lost, and what it sends: by rules of the kernel's packet filter, in a table of their own, for the
 * ports of the deployment and of agents alone. Nothing is refused, as on a real network, and nothing of the machine itself
 * is touched. The ports are in a set whose members go by themselves: the kernel heals it, whoever was killed meanwhile.
 */
import { isIPv6 } from 'node:net'
import type { FaultCase } from './fault-file.ts'
import type { Injury } from './injury.ts'
import { nft } from './nft.ts'

/** How much longer than the fault the kernel keeps the rules. */
const graceMs = 5000

export const cut: Injury = {
  // The answer would be lost as well.
  tellsFirst: true,
  inject: async (fault) => nft(rulesOf(fault)),
  heal: async ({ order }) => nft(`add table inet ${tableOf(order)}\ndelete table inet ${tableOf(order)}`),
}

const tableOf = ({ id }: FaultCase['order']): string => `holdfast_fault_${id.replace('-', '_')}`

export function rulesOf({ order, scene: { ports, member } }: FaultCase): string {
  if (member === null) throw new Error('this machine is no host among others')
  const keptFor = `${Math.ceil((order.forMs + graceMs) / 1000)}s`
  const set = (name: string, some: readonly number[]): string =>
    `  set ${name} { type inet_service; flags timeout; elements = { ${[...new Set(some)].map((port) => `${port} timeout ${keptFor}`).join(', ')} } }`
  const { peers, controllers, agentPorts } = member
  // Clients are where controllers are, too: they reach the engines, as other hosts do not.
  const drops =
    order.fault === 'cut-host'
      ? both('', 'everywhere')
      : [
          ...from(
            peers.filter((peer) => !controllers.includes(peer)),
            'all',
          ),
          ...from([...peers, ...controllers], 'inner'),
        ]
  return [
    `table inet ${tableOf(order)} {`,
    set('everywhere', [...ports.clients, ...ports.engines, ...agentPorts]),
    set('inner', [...ports.engines, ...agentPorts]),
    '  chain incoming {',
    '    type filter hook input priority -10; policy accept;',
    '    iifname "lo" accept',
    ...drops.map((rule) => `    ${rule}`),
    '  }',
    '  chain outgoing {',
    '    type filter hook output priority -10; policy accept;',
    '    oifname "lo" accept',
    ...drops.map((rule) => `    ${rule.replaceAll('saddr', 'daddr')}`),
    '  }',
    '}',
  ].join('\n')
}

/** A connection from here to there has the port at the other end. */
const both = (whose: string, set: string): string[] => [
  `${whose}tcp dport @${set} drop`,
  `${whose}tcp sport @${set} drop`,
]

const from = (addresses: readonly string[], set: string): string[] =>
  [...new Set(addresses)].flatMap((address) => both(`${isIPv6(address) ? 'ip6' : 'ip'} saddr ${address} `, set))
