import { type DemoMark, demoActions } from '@holdfast/core'
import { formatTime } from '../figures.ts'

/** Each line of the charts in words, the newest first. */
export function DemoMarks({ marks, now }: { marks: readonly DemoMark[]; now: number }) {
  return (
    <section class="card" aria-labelledby="marks">
      <h2 id="marks">What was done</h2>
      {marks.length === 0 ? (
        <p class="muted">
          Nothing yet. Each fault will be a line in the charts, and here with the controller's sentence.
        </p>
      ) : (
        <ol class="marks" tabIndex={0} aria-labelledby="marks">
          {marks.toReversed().map(({ at, action, what, because }) => (
            <li key={`${at} ${action}`}>
              <kbd aria-hidden="true">{demoActions[action].key}</kbd>
              <time class="muted" dateTime={new Date(at).toISOString()}>
                {formatTime(at, now)}
              </time>
              <span>
                {what}
                {because !== null && <span class="mark-because">{because}</span>}
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}
