import type { DemoState, LaneName } from '@holdfast/core'
import { formatCount } from '../figures.ts'
import { laneWords, samplesOf } from '../lanes.ts'
import { ActionButton } from './demo-actions.tsx'

/** The two figures that matter of one lane, large: what its visitors saw, and what was lost. */
export function LaneScore({ lane, state }: { lane: LaneName; state: DemoState }) {
  const latest = samplesOf(state, lane).at(-1)
  const { title, what } = laneWords[lane]
  return (
    <section class={`card score lane-${lane}`} aria-labelledby={`score-${lane}`}>
      <div class="score-name">
        <h2 id={`score-${lane}`}>{title}</h2>
        {lane === 'bare' && <ActionButton action="compare" state={state} />}
      </div>
      <p class="muted score-what">{what}</p>
      <dl class="score-figures">
        <Large value={latest?.errorsTotal} name={latest?.errorsTotal === 1 ? 'error' : 'errors'}>
          {latest === undefined ? 'not running' : `in ${formatCount(latest.requestsTotal)} requests`}
        </Large>
        <Large
          value={latest?.missing}
          name={latest?.missing === 1 ? 'acknowledged write lost' : 'acknowledged writes lost'}
        >
          {latest === undefined
            ? 'not running'
            : `${formatCount(latest.acked)} acknowledged, ${formatCount(latest.readBack)} read back`}
        </Large>
      </dl>
    </section>
  )
}

function Large({ value, name, children }: { value: number | undefined; name: string; children: string }) {
  const tone = value === undefined ? 'off' : value === 0 ? 'ok' : 'bad'
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <strong class={`score-value tone-${tone}`}>
          {value === undefined ? <span aria-hidden="true">–</span> : formatCount(value)}
        </strong>
        <span class="muted">{children}</span>
      </dd>
    </div>
  )
}
