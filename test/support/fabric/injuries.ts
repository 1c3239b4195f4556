/**
 * What can happen to the hosts of a fabric, each with its cure. Packets are lost and never refused, as on a real network:
 * a cut between two hosts is a neighbour whose hardware address belongs to nobody, one direction each; a pulled cable is
 * the other end of the link going down, so that the host itself sees its interface without a carrier.
 */
import type { Fabric, Host } from './fabric.ts'
import type { Command, Injury } from './keeper.ts'
import type { HitEngine } from './subject.ts'

const nobody = '02:00:00:00:00:01'

/** Nothing of what `from` sends reaches `to`. */
const cutOneWay = (from: Host, to: Host): Command => [
  'ip',
  '-n',
  from.namespace,
  'neigh',
  'replace',
  to.address,
  'lladdr',
  nobody,
  'nud',
  'permanent',
  'dev',
  'eth0',
]

const mendOneWay = (from: Host, to: Host): Command => [
  'ip',
  '-n',
  from.namespace,
  'neigh',
  'del',
  to.address,
  'dev',
  'eth0',
]

const peersOf = ({ hosts }: Fabric, host: Host): readonly Host[] => hosts.filter((one) => one !== host)

const link = (fabric: Fabric, { name }: Host, state: 'up' | 'down'): Command => [
  'ip',
  '-n',
  fabric.bridge,
  'link',
  'set',
  'dev',
  `to-${name}`,
  state,
]

/** Its cable is pulled: nobody reaches it, clients neither. */
export const cutOff = (fabric: Fabric, host: Host): Injury => ({
  what: `the cable of ${host.name} is pulled`,
  inject: [link(fabric, host, 'down')],
  heal: [link(fabric, host, 'up')],
  everyMs: null,
})

/** Its cable is pulled and put back again and again. */
export const flapping = (fabric: Fabric, host: Host, everyMs = 700): Injury => ({
  ...cutOff(fabric, host),
  what: `the link of ${host.name} goes down and up every ${everyMs} ms`,
  everyMs,
})

/** The clients still reach it. `only`: what it sends, or what it is sent, still arrives. */
export function cutFromPeers(fabric: Fabric, host: Host, only: 'both' | 'in' | 'out' = 'both'): Injury {
  const ways = peersOf(fabric, host).flatMap((peer) => [
    ...(only === 'in' ? [] : [[host, peer] as const]),
    ...(only === 'out' ? [] : [[peer, host] as const]),
  ])
  const lost = {
    both: 'neither hears its peers nor is heard',
    in: 'hears nothing from its peers',
    out: 'is not heard by its peers',
  }
  return {
    what: `${host.name} ${lost[only]}, and clients still reach it`,
    inject: ways.map(([from, to]) => cutOneWay(from, to)),
    heal: ways.map(([from, to]) => mendOneWay(from, to)),
    everyMs: null,
  }
}

/** Both directions of its cable pass so little that queues build up, 400 ms of them, and what is above is dropped. */
export function slowLink(fabric: Fabric, host: Host, kbit = 512): Injury {
  const ends = [[host.namespace, 'eth0'] as const, [fabric.bridge, `to-${host.name}`] as const]
  const narrow = ['tbf', 'rate', `${kbit}kbit`, 'burst', '4kb', 'latency', '400ms']
  return {
    what: `the link of ${host.name} passes ${kbit} kbit/s`,
    inject: ends.map(([namespace, device]) => [
      'tc',
      '-n',
      namespace,
      'qdisc',
      'replace',
      'dev',
      device,
      'root',
      ...narrow,
    ]),
    heal: ends.map(([namespace, device]) => ['tc', '-n', namespace, 'qdisc', 'del', 'dev', device, 'root']),
    everyMs: null,
  }
}

/** Everything on it dies at once, by the kernel's hand; its disk and its network stay. */
export const killAllOn = (host: Host): Injury => ({
  what: `everything on ${host.name} is killed`,
  inject: [['sh', '-c', `kill -KILL $(ip netns pids ${host.namespace})`]],
  heal: [],
  everyMs: null,
})

/** It loses its power: everything on it dies, and from then on nobody there answers, or refuses. */
export function powerOff(fabric: Fabric, host: Host): Injury {
  const { inject, heal } = cutOff(fabric, host)
  return {
    what: `${host.name} loses its power`,
    inject: [...inject, ...killAllOn(host).inject],
    heal,
    everyMs: null,
  }
}

export const kill = (what: string, pids: readonly number[]): Injury => ({
  what: `${what} is killed`,
  inject: [['kill', '-KILL', ...pids.map(String)]],
  heal: [],
  everyMs: null,
})

export const freeze = (what: string, pids: readonly number[]): Injury => ({
  what: `${what} is frozen`,
  inject: [['kill', '-STOP', ...pids.map(String)]],
  heal: pids.map((pid) => ['kill', '-CONT', `${pid}`]),
  everyMs: null,
})

/** To the last byte. */
export function fillDisk({ name, folder }: Host): Injury {
  const ballast = `${folder}/ballast`
  return {
    what: `the disk of ${name} is full`,
    inject: [['sh', '-c', `dd if=/dev/zero of=${ballast} bs=256k 2>/dev/null || true`]],
    heal: [['rm', '-f', ballast]],
    everyMs: null,
  }
}

/** A process may have no page more than it has: the kernel kills it at the next one that it wants. */
export function limitMemory(what: string, { group }: Host, pid: number): Injury {
  const inner = `${group}/limited`
  return {
    what: `${what} has reached its limit of memory`,
    inject: [
      ['mkdir', '-p', inner],
      // What a process had before it came into a group does not count there.
      ['sh', '-c', `echo 64K > ${inner}/memory.limit_in_bytes && echo ${pid} > ${inner}/cgroup.procs`],
    ],
    heal: [
      ['sh', '-c', `echo -1 > ${inner}/memory.limit_in_bytes`],
      ['sh', '-c', `for pid in $(cat ${inner}/cgroup.procs); do echo $pid > ${group}/cgroup.procs; done`],
      ['rmdir', inner],
    ],
    everyMs: null,
  }
}

/** systemd's own RestartSec, unless a unit says otherwise. */
const restartAfter = '0.1'

/** What a supervisor does on the disk of another machine, as it were: everything is gone but who the engine is in a Cluster. */
export function bounceEmpty({ host, pid, dataDir, start }: HitEngine): Injury {
  const quoted = start.map((word) => `'${word}'`).join(' ')
  const script = [
    `kill -KILL ${pid}`,
    `while [ -e /proc/${pid} ] && ! grep -q '^State:.Z' /proc/${pid}/status; do sleep 0.01; done`,
    `find '${dataDir}' -mindepth 1 -maxdepth 1 ! -name nodes.conf -exec rm -rf {} +`,
    `sleep ${restartAfter}`,
    `cd '${dataDir}' && setsid ip netns exec ${host.namespace} ${quoted} </dev/null >/dev/null 2>&1 &`,
  ]
  return {
    what: `the primary on ${host.name} is started empty by somebody else`,
    inject: [['sh', '-c', script.join('\n')]],
    heal: [],
    everyMs: null,
  }
}
