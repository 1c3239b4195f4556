/**
 * What is sent to a host is lost, and what it sends: by rules of the kernel's packet filter, in a table of their own, for the
 * ports of the deployment and of agents alone. Nothing is refused, as on a real network, and nothing of the machine itself
 * is touched. The ports are in sets whose members go by themselves: the kernel heals it, whoever was killed meanwhile.
 */
import { isIPv6 } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { FaultCase } from './fault-file.ts'
import type { Injury } from './injury.ts'
import { nft } from './nft.ts'

/** How much longer than the fault the kernel keeps the rules. */
const graceMs = 5000
/** A plug that is not quite in. Shorter than a lease, so that it is neither there nor lost. */
const flapEveryMs = 700
/** A link that was meant for something else; queues on it are short, so what is too much is lost. */
const narrow = 'limit rate over 64 kbytes/second burst 16 kbytes drop'

export const cut: Injury = {
  // The answer would be lost as well.
  tellsFirst: true,
  inject: async (fault) => nft(rulesOf(fault)),
  heal: async (fault) => nft(removalOf(fault)),
}

let flapping = Promise.resolve()

export const flap: Injury = {
  ...cut,
  inject: async (fault, over) => {
    await nft(rulesOf(fault))
    flapping = keepFlapping(fault, over)
  },
  heal: async (fault) => {
    // The last thing that is done is to mend it.
    await flapping
    await nft(removalOf(fault))
  },
}

async function keepFlapping(fault: FaultCase, over: AbortSignal): Promise<void> {
  const endsAt = performance.now() + fault.order.forMs
  for (let isCut = true; ; isCut = !isCut) {
    await delay(flapEveryMs, undefined, { signal: over }).catch(() => {})
    if (over.aborted) return
    const leftMs = Math.max(0, endsAt - performance.now())
    // What could not be done this time is done the next.
    await nft(isCut ? removalOf(fault) : rulesOf(fault, leftMs)).catch(() => {})
  }
}

const tableOf = ({ order: { id } }: FaultCase): string => `holdfast_fault_${id.replace('-', '_')}`

/** Also of a table that is not there. */
const removalOf = (fault: FaultCase): string => `add table inet ${tableOf(fault)}\ndelete table inet ${tableOf(fault)}`

/** Which of what this host is sent, and sends, is lost. */
interface Losses {
  readonly heard: readonly Selection[]
  readonly said: readonly Selection[]
  readonly verdict: string
}

/** Packets of a connection to or from one of these ports, with this machine or with any. */
interface Selection {
  readonly ports: 'everywhere' | 'inner'
  readonly peer: string | null
}

/** For so long, and a little, the kernel keeps them. */
export function rulesOf(fault: FaultCase, forMs = fault.order.forMs): string {
  const { network, member } = fault.scene
  if (member === null) throw new Error('this machine is no host among others')
  const keptFor = `${Math.ceil((forMs + graceMs) / 1000)}s`
  const set = (name: Selection['ports'], some: readonly number[]): string =>
    `  set ${name} { type inet_service; flags timeout; elements = { ${[...new Set(some)].map((port) => `${port} timeout ${keptFor}`).join(', ')} } }`
  const { heard, said, verdict } = lossesOf(fault)
  return [
    `table inet ${tableOf(fault)} {`,
    set('everywhere', [...network.clients, ...network.engines, ...member.agentPorts]),
    set('inner', [...network.engines, ...member.agentPorts]),
    // One, so that all that comes and goes shares it.
    `  chain narrow { ${narrow}; }`,
    '  chain incoming {',
    '    type filter hook input priority -10; policy accept;',
    '    iifname "lo" accept',
    ...heard.flatMap((one) => ruleOf(one, 'saddr', verdict)),
    '  }',
    '  chain outgoing {',
    '    type filter hook output priority -10; policy accept;',
    '    oifname "lo" accept',
    ...said.flatMap((one) => ruleOf(one, 'daddr', verdict)),
    '  }',
    '}',
  ].join('\n')
}

function lossesOf({ order, scene: { network, member } }: FaultCase): Losses {
  const { peers = [], controllers = [] } = member ?? {}
  const all: Selection[] = [{ ports: 'everywhere', peer: null }]
  // The clients of the drill still reach the engines, and nothing else does.
  const isDrilledFrom = (peer: string): boolean => network.drilledFrom.includes(peer)
  const ofPeers = [...new Set([...peers, ...controllers])].map(
    (peer): Selection => ({ ports: isDrilledFrom(peer) ? 'inner' : 'everywhere', peer }),
  )
  switch (order.fault) {
    case 'cut-peers':
      return { heard: ofPeers, said: ofPeers, verdict: 'drop' }
    case 'deafen-host':
      return { heard: ofPeers, said: [], verdict: 'drop' }
    case 'mute-host':
      return { heard: [], said: ofPeers, verdict: 'drop' }
    case 'slow-link':
      return { heard: all, said: all, verdict: 'jump narrow' }
    default:
      return { heard: all, said: all, verdict: 'drop' }
  }
}

/** A connection from here to there has the port at the other end. */
function ruleOf({ ports, peer }: Selection, end: 'saddr' | 'daddr', verdict: string): string[] {
  const whose = peer === null ? '' : `${isIPv6(peer) ? 'ip6' : 'ip'} ${end} ${peer} `
  return ['dport', 'sport'].map((port) => `    ${whose}tcp ${port} @${ports} ${verdict}`)
}
