/** The ledger in words. */
import { formatBytes, formatDuration } from '../units.ts'
import type { Availability, Incident, IncidentKind, Promotion } from './incident.ts'

const plural: Readonly<Record<IncidentKind | 'drill', string>> = {
  death: 'deaths',
  freeze: 'freezes',
  switchover: 'switchovers',
  outage: 'outages',
  loss: 'losses',
  drill: 'drills',
}

/** "99.998 % in 30 days; 3.1 s not writable; 2 deaths, 1 drill": the time is how long somebody looked. */
export function describeLedger(
  { ratio, observedMs, notWritableMs }: Availability,
  incidents: readonly Incident[],
): string {
  const told = ratio === null ? 'nobody has looked' : `${formatShare(ratio)} in ${formatDuration(observedMs)}`
  const away = notWritableMs > 0 ? [`${formatDuration(notWritableMs)} not writable`] : []
  return [told, ...away, countIncidents(incidents)].join('; ')
}

/** Rounded down: an outage, however short, is never rounded away. */
export function formatShare(ratio: number): string {
  // The step in between keeps 0.07 from becoming 6.999 %.
  const thousandths = Math.floor(Number((ratio * 100_000).toPrecision(12)))
  return `${thousandths / 1000} %`
}

/** "node-5 in place of node-2, at offset 1778; node-2 was last seen at 1778". */
export function describePromotion({ from, to, offsetBefore, offsetAfter }: Promotion): string {
  const before = from === null ? 'in place of nobody' : `in place of ${from}`
  const at = offsetAfter === null ? 'at an offset that was not seen' : `at offset ${offsetAfter}`
  const last = offsetBefore === null || from === null ? '' : `; ${from} was last seen at ${offsetBefore}`
  return `${to} ${before}, ${at}${last}`
}

/** What may have been lost, and no more than is known: a primary that died may have taken writes since it was last seen. */
export function describeLoss({ possiblyLostBytes, promotions, kind }: Incident): string {
  if (possiblyLostBytes === null) return 'not known'
  if (possiblyLostBytes > 0) return `${formatBytes(possiblyLostBytes)} that whoever took over did not have`
  return promotions.length === 0 || kind === 'switchover' ? 'nothing' : 'nothing of what was last seen'
}

/** What was caused on purpose counts as a drill, whatever it was. */
function countIncidents(incidents: readonly Incident[]): string {
  const counts = new Map<IncidentKind | 'drill', number>()
  for (const { kind, drill } of incidents) {
    const word = drill === null ? kind : 'drill'
    counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  const words = Object.keys(plural) as (keyof typeof plural)[]
  const told = words.flatMap((word) => {
    const count = counts.get(word)
    return count === undefined ? [] : [`${count} ${count === 1 ? word : plural[word]}`]
  })
  return told.length === 0 ? 'no incident' : told.join(', ')
}
