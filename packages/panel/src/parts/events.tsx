import type { HoldfastEvent } from '@holdfast/core'
import { formatTime } from '../figures.ts'
import { eventTone } from '../tone.ts'
import { Badge } from './mark.tsx'

/** What happened, newest first, each with its reason. */
export function Events({ events, now }: { events: readonly HoldfastEvent[]; now: number }) {
  return (
    <section class="card" aria-labelledby="events">
      <h2 id="events">What happened</h2>
      {events.length === 0 ? (
        <p class="muted">Nothing yet.</p>
      ) : (
        <section class="scroll events-scroll" aria-label="Events as a table" tabIndex={0}>
          <table class="events">
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
                <tr key={event.seq}>
                  <td class="time">
                    <time dateTime={new Date(event.at).toISOString()}>{formatTime(event.at, now)}</time>
                  </td>
                  <td>
                    <Kind kind={event.kind} />
                  </td>
                  <td>{event.subject}</td>
                  <td class="why">{event.because}</td>
                  <td class="muted">{event.actor}</td>
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
