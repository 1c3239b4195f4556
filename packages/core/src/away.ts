/**
 * Whether a host is lost, asked from several sides: the controller, the other hosts' agents, and the engines.
 *
 * Silence is no proof of death, but a host that nobody reaches has fenced itself (`agent-fence.ts`), unless its agent was
 * stopped in the same moment: what its engines could still acknowledge ended `leaseAfter` after it was last heard. From a
 * second after that on, its write lease is over and its shards may go on without it. Whoever reaches anything of it, a
 * refused connection too, speaks against that: then its agent may be gone alone, and nothing is fenced.
 */
import type { HostSeen, NodeSeen, Observed } from './observed.ts'
import { formatDuration } from './units.ts'

/** How much longer than `leaseAfter` a controller waits: what a fence takes, on a machine that has other things to do. */
export const leaseMarginMs = 1000

export type Reach =
  | 'here' // its agent answers
  | 'cut from its peers' // its agent answers, and most of the other hosts do not reach it
  | 'agent only' // its agent does not answer, and its engines or its machine do
  | 'cut from the controller' // nothing of it answers the controller, and other hosts reach it
  | 'away' // nobody reaches it

export interface HostPicture {
  readonly id: string
  readonly reach: Reach
  /** From when on nothing that its engines acknowledge counts, by our clock. Null: they may still, for all that is known. */
  readonly leaseOverAt: number | null
  /** When it last answered the controller. */
  readonly heardAt: number
  /**
   * Since when it is lost: nobody reaches it, neither the controller nor most of the other hosts; or its machine is there,
   * and its agent has not answered. Null: it is not.
   */
  readonly lostAt: number | null
  /** Its agent would fence again what is lifted. */
  readonly isAlone: boolean
  /** What speaks for it, in words. */
  readonly because: string
}

/** Reads all hosts of a deployment; none where they were not looked at as hosts, as the one of a single machine. */
export function readHosts({ at, hosts = [], nodes }: Observed, leaseAfterMs: number): ReadonlyMap<string, HostPicture> {
  return new Map(hosts.map((host) => [host.id, readHost(host, { at, hosts, nodes, leaseAfterMs })]))
}

interface Around {
  readonly at: number
  readonly hosts: readonly HostSeen[]
  readonly nodes: readonly NodeSeen[]
  readonly leaseAfterMs: number
}

function readHost(
  { id, answers: isHere, heardAt, hearing }: HostSeen,
  { at, hosts, nodes, leaseAfterMs }: Around,
): HostPicture {
  const others = hosts.filter((other) => other.id !== id)
  // Of one that says nothing now nobody knows whom it reaches.
  const contacts = others.map((other) => contactOf(other, id)).sort((one, next) => one - next)
  const majority = Math.floor(others.length / 2) + 1
  const lostByMost = contacts[majority - 1] ?? Number.POSITIVE_INFINITY
  const reached = contacts.filter((contact) => at - contact < leaseAfterMs).length
  const told = `${reached} of ${others.length} other hosts ${others.length === 1 ? 'reaches' : 'reach'} it`
  const found = (
    reach: Reach,
    because: string,
    lost: Pick<HostPicture, 'lostAt' | 'leaseOverAt'> = { lostAt: null, leaseOverAt: null },
  ): HostPicture => ({
    id,
    reach,
    ...lost,
    heardAt,
    isAlone: hearing?.isAlone === true,
    because: `${id} ${because}`,
  })
  if (isHere) {
    return others.length > 0 && at - lostByMost >= leaseAfterMs
      ? found('cut from its peers', `answers the controller, and ${told}`)
      : found('here', 'answers')
  }
  const silence = `has not answered the controller for ${formatDuration(at - heardAt)}`
  const mine = nodes.filter(({ host }) => host === id)
  if (mine.some(({ engine }) => isAnswer(engine))) return found('agent only', `${silence}, its engines do`)
  if (mine.some(({ engine }) => isRefused(engine)))
    return found('agent only', `${silence}, its machine does`, { lostAt: heardAt, leaseOverAt: null })
  const lastContact = Math.max(heardAt, lostByMost)
  if (others.length > 0 && at - lostByMost < leaseAfterMs)
    return found('cut from the controller', `${silence}, ${told}`)
  const leaseOverAt = lastContact + leaseAfterMs + leaseMarginMs
  const lostAt = Number.isFinite(lastContact) ? lastContact : null
  return found('away', `${silence}, ${told}`, { lostAt, leaseOverAt: at >= leaseOverAt ? leaseOverAt : null })
}

/** When another host last reached it at the latest, by our clock: it may have, where it does not say so. */
function contactOf({ answers, hearing }: HostSeen, id: string): number {
  if (hearing === null || !answers) return Number.POSITIVE_INFINITY
  return Math.max(hearing.since, hearing.contacts[id] ?? Number.NEGATIVE_INFINITY)
}

const isAnswer = ({ kind }: NodeSeen['engine']): boolean => kind === 'answered' || kind === 'loading' || kind === 'busy'

/** Only a machine that is there refuses; a network that has lost it says something else. */
const isRefused = (engine: NodeSeen['engine']): boolean =>
  engine.kind === 'refused' && engine.reason.includes('ECONNREFUSED')
