/**
 * Whom a Sentinel would promote if it were asked now, by what it knows; its own rules, read in its source. It looks at
 * no history and at no link as an agent does, and what it knows may be ten seconds old. So it is asked only where its
 * choice would be a good one, and kept from a bad one by a priority of 0.
 */
import type { SentinelWatch, WatchedReplica } from '../observed.ts'
import type { NodePicture, Picture } from '../picture.ts'
import type { SentinelPicture } from '../sentinel-picture.ts'
import { names } from '../sentinel-picture.ts'

const answeredWithinMs = 5000
const infoWithinMs = { primaryDown: 5000, primaryUp: 30_000 } as const

function selectionOf(watch: SentinelWatch, nodes: readonly NodePicture[]): NodePicture | undefined {
  const isDown = watch.flags.includes('s_down')
  const linkDownMsMax = Number(watch.settings['down-after-milliseconds']) * 10 + (isDown ? watch.lastOkPingMs : 0)
  const [first] = watch.replicas
    .filter(
      ({ flags, priority, lastOkPingMs, infoAgeMs, linkDownMs }) =>
        !flags.some((flag) => ['s_down', 'o_down', 'disconnected'].includes(flag)) &&
        priority > 0 &&
        lastOkPingMs <= answeredWithinMs &&
        infoAgeMs <= (isDown ? infoWithinMs.primaryDown : infoWithinMs.primaryUp) &&
        linkDownMs <= linkDownMsMax,
    )
    .sort(chosenFirst)
  return first && nodes.find(({ place }) => place.port === first.port && place.address === first.address)
}

const chosenFirst = (a: WatchedReplica, b: WatchedReplica): number =>
  a.priority - b.priority || b.offset - a.offset || (a.runId.toLowerCase() < b.runId.toLowerCase() ? -1 : 1)

/** How often a Sentinel looks at each engine, ms: its agent asks it to, and while it fails over it does so by itself. */
export const sentinelLooksEveryMs = 1000
/** From the word to the promotion. */
const promotionMs = 250

/** ms since a Sentinel has looked at this replica; null where it does not tell. */
export function sinceLooked({ watch, seen }: SentinelPicture, { place }: NodePicture, now: number): number | null {
  const replica = watch?.replicas.find(({ address, port }) => address === place.address && port === place.port)
  if (replica === undefined || seen.engine.kind !== 'answered') return null
  return replica.infoAgeMs + now - seen.engine.at
}

/** A Sentinel tells of a promotion with its next look. One that has not looked for longer than that looks at once, too early. */
function noticesAfterMs(sentinel: SentinelPicture, node: NodePicture, now: number): number {
  const nextMs = sentinelLooksEveryMs - Math.min(sinceLooked(sentinel, node, now) ?? 0, sentinelLooksEveryMs)
  return nextMs < promotionMs ? nextMs + sentinelLooksEveryMs : nextMs
}

/**
 * A Sentinel that watches this primary, is awake, and would promote one of these: the best of them first, and of several
 * Sentinels the one that will notice it first.
 */
export function chooser(
  { sentinels, at }: Pick<Picture, 'sentinels' | 'at'>,
  primary: NodePicture,
  wanted: readonly NodePicture[],
  nodes: readonly NodePicture[],
): SentinelPicture | undefined {
  const awake = sentinels.filter(({ facts, watch }) => facts?.tilt === false && names(watch, primary))
  for (const node of wanted) {
    const [found] = awake
      .filter(({ watch }) => watch !== null && selectionOf(watch, nodes) === node)
      .sort((a, b) => noticesAfterMs(a, node, at) - noticesAfterMs(b, node, at) || (a.id < b.id ? -1 : 1))
    if (found !== undefined) return found
  }
  return undefined
}

/** Whether any Sentinel is in the middle of a failover. */
export const isFailingOver = (sentinels: readonly SentinelPicture[]): boolean =>
  sentinels.some(({ watch }) => watch?.flags.includes('failover_in_progress') === true)
