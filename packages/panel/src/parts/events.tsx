import type { HoldfastEvent } from '@holdfast/core'
import { formatTime } from '../figures.ts'
import { eventTone } from '../tone.ts'
import { Badge } from './mark.tsx'

/**
 * What happened, newest first, each with its reason. The roles are spelt out because on a phone the rows are laid out
 * as a grid, and browsers then forget that this is a table.
 */
export function Events({ events, now }: { events: readonly HoldfastEvent[]; now: number }) {
  return (
    <section class="card" aria-labelledby="events">
      <h2 id="events">What happened</h2>
      {events.length === 0 ? (
        <p class="muted">Nothing yet.</p>
      ) : (
        <section class="scroll events-scroll" aria-label="Events as a table" tabIndex={0}>
          <table class="events" role="table">
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Kind</th>
                <th scope="col">Subject</th>
                <th scope="col">Because</th>
                <th scope="col">By</th>
              </tr>
            </thead>
            <tbody>
              {events.map((event) => (
                <tr key={event.seq} role="row">
                  <td role="cell" class="time">
                    <time dateTime={new Date(event.at).toISOString()}>{formatTime(event.at, now, 'ms')}</time>
                  </td>
                  <td role="cell">
                    <Kind kind={event.kind} />
                  </td>
                  <td role="cell">{event.subject}</td>
                  <td role="cell" class="why">
                    {event.because}
                  </td>
                  <td role="cell" class="muted">
                    {event.actor}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </section>
  )
}

function Kind({ kind }: { kind: HoldfastEvent['kind'] }) {
  const tone = eventTone(kind)
  return tone === undefined ? <span class="kind">{kind}</span> : <Badge tone={tone} word={kind} />
}
