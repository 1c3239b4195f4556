import type { DemoMark, DemoState } from '@holdfast/core'
import { demoActions, formatDuration } from '@holdfast/core'
import { formatTime } from '../figures.ts'
import { laneNames, laneWords } from '../lanes.ts'
import { showWay } from './key-way.tsx'
import { Badge } from './mark.tsx'

/** Acknowledged writes that were not found again: which, when, and after what. Absent while there is none. */
export function DemoLosses({ state, now }: { state: DemoState; now: number }) {
  if (state.lost.length === 0) return null
  return (
    <section class="card" aria-labelledby="losses">
      <h2 id="losses">Acknowledged, and not there any more</h2>
      {laneNames.map((lane) => {
        const lost = state.lost.filter((one) => one.lane === lane)
        if (lost.length === 0) return null
        return (
          <div key={lane} class="losses">
            <Badge tone="bad" word={laneWords[lane].title} />
            <ul>
              {lost.map(({ key, ackedAt }) => (
                <li key={key}>
                  <button type="button" class="quiet key" onClick={() => showWay({ label: key, key, lane })}>
                    {key}
                  </button>
                  <span class="muted">
                    acknowledged at {formatTime(ackedAt, now, 'ms')}
                    {after(ackedAt, state.marks)}
                  </span>
                </li>
              ))}
            </ul>
          </div>
        )
      })}
    </section>
  )
}

const nearMs = 60_000

/** Its place among what was done: ", 40 ms before: Kill a primary". */
function after(at: number, marks: readonly DemoMark[]): string {
  const nearest = marks.toSorted((a, b) => Math.abs(a.at - at) - Math.abs(b.at - at))[0]
  if (nearest === undefined || Math.abs(nearest.at - at) > nearMs) return ''
  const side = nearest.at <= at ? 'after' : 'before'
  return `, ${formatDuration(Math.round(Math.abs(nearest.at - at)))} ${side} “${demoActions[nearest.action].label}”`
}
