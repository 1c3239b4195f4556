/** The faults of the table: what each is, in words, and how it is done to whatever it falls on. */
import type { Fabric } from './fabric.ts'
import {
  bounceEmpty,
  cutFromPeers,
  cutOff,
  fillDisk,
  flapping,
  freeze,
  kill,
  killAllOn,
  limitMemory,
  powerOff,
  slowLink,
} from './injuries.ts'
import type { Injury } from './keeper.ts'
import type { Fall, HitEngine, KeepingProcess, Subject } from './subject.ts'

interface Scene {
  readonly fabric: Fabric
  readonly subject: Subject
  /** The primary that it falls on, and its host. */
  readonly hit: HitEngine
}

interface FabricFaultKind {
  readonly what: string
  /** It is about agents or controllers, which an engine alone does not have. */
  readonly needsKeeping?: true
  /** Another controller has to act from then on. */
  readonly takesController?: true
  /** Default: beside the controllers. */
  readonly falls?: Fall
  readonly injury: (scene: Scene) => Injury | Promise<Injury>
}

/** In the order of the table. Each falls on the primary of one shard, or on the host that it is on. */
const fabricFaults = {
  'engine-killed': { what: 'kill -9 of a primary', injury: ({ hit }) => kill('the primary', [hit.pid]) },
  'engine-frozen': { what: 'SIGSTOP of a primary', injury: ({ hit }) => freeze('the primary', [hit.pid]) },
  'engine-emptied': {
    what: 'a primary killed, and started again at once by somebody else, without its data',
    injury: ({ hit }) => bounceEmpty(hit),
  },
  'memory-limit': {
    what: 'a primary at the memory limit of its control group',
    injury: ({ hit }) => limitMemory('the primary', hit.host, hit.pid),
  },
  'disk-full': { what: "the disk of a primary's host is full", injury: ({ hit }) => fillDisk(hit.host) },
  'host-lost': {
    what: "a primary's host loses its power",
    injury: ({ fabric, hit }) => powerOff(fabric, hit.host),
  },
  'host-killed': {
    what: "kill -9 of everything on a primary's host, whose network lives on",
    injury: ({ hit }) => killAllOn(hit.host),
  },
  'host-cut': {
    what: "the cable of a primary's host is pulled",
    injury: ({ fabric, hit }) => cutOff(fabric, hit.host),
  },
  'peers-cut': {
    what: "a primary's host is cut from all other hosts; clients still reach it",
    injury: ({ fabric, hit }) => cutFromPeers(fabric, hit.host),
  },
  'peers-unheard': {
    what: 'the same in one direction: it hears no other host',
    injury: ({ fabric, hit }) => cutFromPeers(fabric, hit.host, 'in'),
  },
  'peers-untold': {
    what: 'the same in the other: no other host hears it',
    injury: ({ fabric, hit }) => cutFromPeers(fabric, hit.host, 'out'),
  },
  'link-flaps': {
    what: "the link of a primary's host goes down and up",
    injury: ({ fabric, hit }) => flapping(fabric, hit.host),
  },
  'link-slow': {
    what: "the link of a primary's host passes 512 kbit/s",
    injury: ({ fabric, hit }) => slowLink(fabric, hit.host),
  },
  'agent-killed': {
    what: "kill -9 of the agent of a primary's host",
    needsKeeping: true,
    injury: (scene) => kill('the agent', [agentOn(scene).pid]),
  },
  'agent-frozen': {
    what: "SIGSTOP of the agent of a primary's host",
    needsKeeping: true,
    injury: (scene) => freeze('the agent', [agentOn(scene).pid]),
  },
  'controller-killed': {
    what: 'kill -9 of the controller that acts',
    needsKeeping: true,
    takesController: true,
    injury: async ({ subject }) =>
      kill('the controller', pidsOf((await subject.controllers()).filter(({ acts }) => acts))),
  },
  'controller-host-lost': {
    what: 'the host of the controller that acts loses its power: etcd, agent and engines, too',
    needsKeeping: true,
    takesController: true,
    falls: 'with the controller',
    injury: ({ fabric, hit }) => powerOff(fabric, hit.host),
  },
  'controllers-killed': {
    what: 'kill -9 of all controllers',
    needsKeeping: true,
    injury: async ({ subject }) => kill('every controller', pidsOf(await subject.controllers())),
  },
} as const satisfies Readonly<Record<string, FabricFaultKind>>

export type FabricFault = keyof typeof fabricFaults

export const fabricFaultNames = Object.keys(fabricFaults) as FabricFault[]

export const faultKind = (fault: FabricFault): FabricFaultKind => fabricFaults[fault]

const pidsOf = (processes: readonly KeepingProcess[]): number[] => processes.map(({ pid }) => pid)

function agentOn({ subject, hit }: Scene): KeepingProcess {
  const agent = subject.agents().find(({ host }) => host === hit.host)
  if (agent === undefined) throw new Error(`no agent runs on ${hit.host.name}`)
  return agent
}
