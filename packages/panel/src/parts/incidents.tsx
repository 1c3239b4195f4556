import { describeLoss, describePromotion, formatDuration, type Incident, type IncidentKind } from '@holdfast/core'
import { formatTime } from '../figures.ts'
import type { Tone } from '../tone.ts'
import { Badge } from './mark.tsx'

/** Newest first. Each one opens to what is known of it and to its timeline. */
export function Incidents({ incidents, now }: { incidents: readonly Incident[]; now: number }) {
  return (
    <section class="card" aria-labelledby="incidents">
      <h2 id="incidents">
        Incidents <span class="count">{incidents.length}</span>
      </h2>
      {incidents.length === 0 ? (
        <p class="muted">Nothing has kept a client from writing.</p>
      ) : (
        <ul class="incidents">
          {incidents.map((incident) => (
            <li key={incident.id}>
              <One incident={incident} now={now} />
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

function One({ incident, now }: { incident: Incident; now: number }) {
  const { kind, beganAt, endedAt, shards, because, drill } = incident
  return (
    <details class="incident">
      <summary>
        <time dateTime={new Date(beganAt).toISOString()}>{formatTime(beganAt, now, 'ms')}</time>
        <Badge tone={tones[kind] ?? 'unknown'} word={kind} />
        <span>{endedAt === null ? <strong>goes on</strong> : formatDuration(endedAt - beganAt)}</span>
        <span class="muted">
          {shards.join(', ')}
          {drill === null ? '' : ' · on purpose'}
        </span>
        <span class="because">{because}</span>
      </summary>
      <Facts incident={incident} />
      <ol class="timeline">
        {incident.timeline.map((step, index) => (
          <li key={step.seq ?? `unnumbered ${index}`}>
            <span class="timeline-at">{afterBeginning(step.at - beganAt)}</span>
            <span>{step.because}</span>
          </li>
        ))}
      </ol>
    </details>
  )
}

const tones: Readonly<Record<IncidentKind, Tone>> = {
  death: 'warn',
  freeze: 'warn',
  outage: 'bad',
  loss: 'bad',
  switchover: 'off',
}

function Facts({ incident }: { incident: Incident }) {
  const { id, promotions, notWritableMs, madeWorseBy, drill } = incident
  const times = Object.entries(notWritableMs).map(([shard, ms]) => `${shard} ${formatDuration(ms)}`)
  const facts: [name: string, values: string[]][] = [
    ['Promoted', promotions.map(describePromotion)],
    ['Possibly lost', [describeLoss(incident)]],
    ['Not writable', times.length === 0 ? ['not that the probe saw'] : times],
    ['Made worse by', [...madeWorseBy]],
    ['On purpose', drill === null ? [] : [`fault ${drill}`]],
    ['Name', [id]],
  ]
  return (
    <dl class="facts">
      {facts
        .filter(([, values]) => values.length > 0)
        .map(([name, values]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              {values.map((value) => (
                <div key={value}>{value}</div>
              ))}
            </dd>
          </div>
        ))}
    </dl>
  )
}

/** What led to it may have been said before it began. */
const afterBeginning = (ms: number): string => `${ms < 0 ? '−' : '+'}${formatDuration(Math.abs(ms))}`
