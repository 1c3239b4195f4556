/** The ledger in words. */
import { formatDuration } from '../units.ts'
import type { Availability, Incident, IncidentKind } from './incident.ts'

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
