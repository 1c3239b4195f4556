/** A firewall in the words of whoever keeps it. */
import type { Firewall, Opening, Party } from './openings.ts'
import { guardedPorts, isIpv6, rangesOf } from './openings.ts'

export const firewallForms = ['nftables', 'ufw', 'security-group'] as const
export type FirewallForm = (typeof firewallForms)[number]

export function renderFirewall(firewall: Firewall, form: FirewallForm): string {
  switch (form) {
    case 'nftables':
      return nftables(firewall)
    case 'ufw':
      return ufw(firewall)
    case 'security-group':
      return securityGroup(firewall)
    default:
      return form satisfies never
  }
}

/**
 * A table of its own, so that loading it again replaces it and removing it leaves everything else as it was. No rule asks
 * for the state of a connection: who is not let in any more is cut off at once.
 */
function nftables(firewall: Firewall): string {
  const table = `inet holdfast_${firewall.deployment}`
  const accepted = firewall.openings.flatMap((opening) => {
    const family = isIpv6(opening.to) ? 'ip6' : 'ip'
    if (membersOf(firewall, opening.from, family).length === 0) return []
    const source = `${family} saddr @${opening.from}_${family} ${family} daddr ${opening.to}`
    return [`${source} tcp dport ${nftPorts(opening.ports)} accept comment "${opening.why}"`]
  })
  const dropped = [...guardedPorts(firewall)].map(
    ([to, ports]) => `${isIpv6(to) ? 'ip6' : 'ip'} daddr ${to} tcp dport ${nftPorts(ports)} drop`,
  )
  return [
    `# ${firewall.deployment}: the same file for each of its machines. Load it with "nft -f FILE", again whenever it has changed.`,
    '# To be rid of it: "nft delete table ' + table + '". What is not Holdfast\'s is left as it is.',
    `table ${table}`,
    `delete table ${table}`,
    `table ${table} {`,
    ...parties.flatMap((party) => families.flatMap((family) => nftSet(firewall, party, family))),
    '  chain input {',
    '    type filter hook input priority filter; policy accept;',
    '    iif "lo" accept',
    ...[...accepted, ...dropped].map((line) => `    ${line}`),
    '  }',
    '}',
    '',
  ].join('\n')
}

const parties: readonly Party[] = ['clients', 'hosts', 'controllers', 'etcd']
const families = ['ip', 'ip6'] as const
type Family = (typeof families)[number]

const membersOf = ({ parties: all }: Firewall, party: Party, family: Family): string[] =>
  all[party].filter((network) => isIpv6(network) === (family === 'ip6'))

function nftSet(firewall: Firewall, party: Party, family: Family): string[] {
  const members = membersOf(firewall, party, family)
  const isAsked = firewall.openings.some(({ from, to }) => from === party && isIpv6(to) === (family === 'ip6'))
  if (members.length === 0 || !isAsked) return []
  return [
    `  set ${party}_${family} {`,
    `    type ${family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'}; flags interval; auto-merge`,
    `    elements = { ${members.join(', ')} }`,
    '  }',
  ]
}

const nftPorts = (ports: readonly number[]): string =>
  `{ ${rangesOf(ports)
    .map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`))
    .join(', ')} }`

/** What is let in comes first: the first rule that fits decides. */
function ufw(firewall: Firewall): string {
  const { deployment, parties: all } = firewall
  const allowed = firewall.openings.flatMap(({ to, ports, from, why }) =>
    sameFamily(all[from], to).flatMap((network) =>
      ufwPorts(ports).map((some) => ufwLine('allow', network, to, some, `${deployment}: ${why}`)),
    ),
  )
  const denied = [...guardedPorts(firewall)].flatMap(([to, ports]) =>
    ufwPorts(ports).map((some) => ufwLine('deny', 'any', to, some, `${deployment}: nobody else`)),
  )
  return [
    `# ${deployment}: the same lines on each of its machines, in this order, before rules that let everybody in.`,
    ...allowed,
    ...denied,
    '',
  ].join('\n')
}

const ufwLine = (verdict: 'allow' | 'deny', from: string, to: string, ports: string, comment: string): string =>
  `ufw ${verdict} proto tcp from ${from} to ${to} port ${ports} comment '${comment}'`

/** It takes at most 15 ports a rule, and counts a range as two. */
const rangesAtOnce = 7

function ufwPorts(ports: readonly number[]): string[] {
  const ranges = rangesOf(ports).map(({ first, last }) => (first === last ? String(first) : `${first}:${last}`))
  const lines = Array.from({ length: Math.ceil(ranges.length / rangesAtOnce) }, (_, index) => index * rangesAtOnce)
  return lines.map((first) => ranges.slice(first, first + rangesAtOnce).join(','))
}

/** One line for each rule of a group that lets nobody in by itself, as those of the clouds do. */
function securityGroup(firewall: Firewall): string {
  const rows = firewall.openings.flatMap(({ to, ports, from, why }: Opening) =>
    sameFamily(firewall.parties[from], to).flatMap((network) =>
      rangesOf(ports).map(({ first, last }) => [
        to,
        'tcp',
        first === last ? String(first) : `${first}-${last}`,
        cidrOf(network),
        why,
      ]),
    ),
  )
  const table = [['to', 'protocol', 'ports', 'source', 'why'], ...rows]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [
    `# ${firewall.deployment}: inbound rules. All else stays closed; outbound is left as it is.`,
    ...table.map(line),
    '',
  ].join('\n')
}

const cidrOf = (network: string): string =>
  network.includes('/') ? network : `${network}/${isIpv6(network) ? 128 : 32}`

const sameFamily = (networks: readonly string[], to: string): string[] =>
  networks.filter((network) => isIpv6(network) === isIpv6(to))
