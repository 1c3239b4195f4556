import type { NodePlace } from '@holdfast/core'
import type { Fault } from './memory/faults.ts'
import type { Random } from './memory/random.ts'

/** What happens to controllers rather than to engines. */
type ControllerFault =
  | { readonly kind: 'kill-controller' }
  | { readonly kind: 'pause-controller'; readonly forMs: number }
  /** Another controller starts beside those that run. */
  | { readonly kind: 'add-controller' }

export interface Scheduled {
  readonly at: number
  readonly fault: Fault | ControllerFault
}

export interface BadDayOptions {
  readonly random: Random
  readonly nodes: readonly NodePlace[]
  /** Times since the beginning of the day, ms. */
  readonly forMs: number
  readonly faults: number
}

type Draw = (random: Random, nodes: readonly NodePlace[]) => Scheduled[]

/** A day of faults, drawn from a seed, each with the end of what does not end by itself; sorted by time. */
export function planBadDay({ random, nodes, forMs, faults }: BadDayOptions): Scheduled[] {
  const drawn = Array.from({ length: faults }, () => {
    const at = random.between(0, forMs)
    return random
      .pick(draws)(random, nodes)
      .map((it) => ({ ...it, at: at + it.at }))
  })
  return drawn.flat().sort((a, b) => a.at - b.at)
}

/** Takes away what may still be wrong when a day is over, except what only a controller can mend. */
export function endOfDay(nodes: readonly NodePlace[]): Fault[] {
  return [
    { kind: 'messages', requestLoss: 0, replyLoss: 0, exitLoss: 0, busLoss: 0 },
    ...nodes.flatMap(({ id }): Fault[] => [
      { kind: 'thaw', node: id },
      { kind: 'slow', node: id, ms: 0 },
      { kind: 'mend-link', node: id },
      { kind: 'catch-up', node: id },
      { kind: 'rejoin', node: id },
      { kind: 'free-port', node: id },
      { kind: 'break-starts', node: id, times: 0, error: '' },
    ]),
  ]
}

const now = (fault: Fault | ControllerFault): Scheduled => ({ at: 0, fault })
const after = (at: number, fault: Fault): Scheduled => ({ at, fault })
const idOf = (random: Random, nodes: readonly NodePlace[]): string => random.pick(nodes).id

const kill: Draw = (random, nodes) => [now({ kind: 'kill', nodes: [idOf(random, nodes)] })]

const killSeveral: Draw = (random, nodes) => [
  now({ kind: 'kill', nodes: nodes.map(({ id }) => id).filter(() => random.chance(0.4)) }),
]

const killAll: Draw = (_random, nodes) => [now({ kind: 'kill', nodes: nodes.map(({ id }) => id) })]

const freeze: Draw = (random, nodes) => {
  const node = idOf(random, nodes)
  return [now({ kind: 'freeze', node }), after(random.between(100, 6000), { kind: 'thaw', node })]
}

const stall: Draw = (random, nodes) => {
  const node = idOf(random, nodes)
  return [now({ kind: 'stall', node }), after(random.between(100, 6000), { kind: 'thaw', node })]
}

const busy: Draw = (random, nodes) => [
  now({ kind: 'busy', node: idOf(random, nodes), forMs: random.between(100, 8000), saysBusy: random.chance(0.5) }),
]

const slow: Draw = (random, nodes) => {
  const node = idOf(random, nodes)
  const ms = random.between(100, 1500)
  return [now({ kind: 'slow', node, ms }), after(random.between(1000, 8000), { kind: 'slow', node, ms: 0 })]
}

const cutLink: Draw = (random, nodes) => {
  const node = idOf(random, nodes)
  return [now({ kind: 'cut-link', node }), after(random.between(500, 8000), { kind: 'mend-link', node })]
}

/** A replica that fell behind, and a kill of somebody meanwhile. */
const lag: Draw = (random, nodes) => {
  const node = idOf(random, nodes)
  const forMs = random.between(500, 8000)
  return [
    now({ kind: 'lag', node }),
    after(random.between(0, forMs), { kind: 'kill', nodes: [idOf(random, nodes)] }),
    after(forMs, { kind: 'catch-up', node }),
  ]
}

const failingStarts: Draw = (random, nodes) => {
  const node = idOf(random, nodes)
  return [
    now({ kind: 'break-starts', node, times: random.between(1, 2), error: 'Out of memory' }),
    now({ kind: 'kill', nodes: [node] }),
  ]
}

const takenPort: Draw = (random, nodes) => {
  const node = idOf(random, nodes)
  return [
    now({ kind: 'take-port', node }),
    now({ kind: 'kill', nodes: [node] }),
    after(random.between(500, 5000), { kind: 'free-port', node }),
  ]
}

/** Without nodes.conf it comes back as nobody; without its data only, as an empty primary that believes in its slots. */
const wipe: Draw = (random, nodes) => {
  const node = idOf(random, nodes)
  return [now({ kind: 'kill', nodes: [node] }), now({ kind: 'wipe', node, what: random.chance(0.5) ? 'all' : 'data' })]
}

/** A supervisor that knows nothing of clusters is quicker than a promotion, and the disk was another one. */
const bounce: Draw = (random, nodes) => {
  const node = idOf(random, nodes)
  return [
    now({ kind: 'kill', nodes: [node] }),
    now({ kind: 'wipe', node, what: 'data' }),
    after(random.between(1, 150), { kind: 'supervise', node }),
  ]
}

/** The same, while no controller is there. */
const unattendedBounce: Draw = (random, nodes) => {
  const node = idOf(random, nodes)
  return [
    now({ kind: 'pause-controller', forMs: random.between(500, 8000) }),
    now({ kind: 'kill', nodes: [node] }),
    now({ kind: 'wipe', node, what: 'data' }),
    after(random.between(1, 400), { kind: 'supervise', node }),
  ]
}

const forgetNode: Draw = (random, nodes) => {
  const by = nodes.map(({ id }) => id).filter(() => random.chance(0.5))
  return [now({ kind: 'forget', by, node: idOf(random, nodes) })]
}

const unassign: Draw = (random) => {
  const from = random.between(0, 16_000)
  return [now({ kind: 'unassign', slots: [[from, from + random.between(0, 100)]] })]
}

const openSlot: Draw = (random, nodes) => [
  now({ kind: 'open-slot', slot: random.between(0, 16_383), to: idOf(random, nodes) }),
]

const misfollow: Draw = (random, nodes) => [
  now({ kind: 'misfollow', node: idOf(random, nodes), primary: idOf(random, nodes) }),
]

const drift: Draw = (random, nodes) => [
  now({ kind: 'drift', node: idOf(random, nodes), set: { 'maxmemory-samples': '3' } }),
  now({ kind: 'users', node: idOf(random, nodes) }),
]

const lostMessages: Draw = (random) => [
  now({ kind: 'messages', requestLoss: 0.2, replyLoss: 0.3, exitLoss: 0.5, busLoss: 0.1 }),
  after(random.between(1000, 10_000), { kind: 'messages', requestLoss: 0, replyLoss: 0, exitLoss: 0, busLoss: 0 }),
]

const silentAgent: Draw = (random) => [now({ kind: 'agent-silent', forMs: random.between(200, 4000) })]

const controllerKilled: Draw = () => [now({ kind: 'kill-controller' })]
const controllerPaused: Draw = (random) => [now({ kind: 'pause-controller', forMs: random.between(1000, 60_000) })]
const controllerAdded: Draw = () => [now({ kind: 'add-controller' })]

/** One thing that happens to one node, or to whoever controls them. */
const singleFaults: readonly Draw[] = [
  kill,
  kill,
  freeze,
  stall,
  busy,
  slow,
  cutLink,
  lag,
  failingStarts,
  takenPort,
  wipe,
  bounce,
  unattendedBounce,
  drift,
  lostMessages,
  silentAgent,
  controllerKilled,
  controllerPaused,
  controllerAdded,
]

/** One of them, from its beginning to its end. */
export const planFault = (random: Random, nodes: readonly NodePlace[]): Scheduled[] =>
  random
    .pick(singleFaults)(random, nodes)
    .sort((a, b) => a.at - b.at)

const draws: readonly Draw[] = [
  kill,
  kill,
  kill,
  killSeveral,
  killAll,
  freeze,
  freeze,
  stall,
  busy,
  slow,
  cutLink,
  lag,
  failingStarts,
  takenPort,
  wipe,
  bounce,
  forgetNode,
  unassign,
  openSlot,
  misfollow,
  drift,
  lostMessages,
  silentAgent,
  controllerKilled,
  controllerPaused,
  controllerAdded,
]
