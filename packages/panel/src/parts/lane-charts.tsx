import {
  type DemoAction,
  type DemoMark,
  type DemoState,
  demoActions,
  type LaneName,
  type LaneSample,
} from '@holdfast/core'
import { formatCount, formatTime } from '../figures.ts'
import {
  axisEnd,
  heightOf,
  laneWords,
  type Measure,
  measures,
  pointsOf,
  sampleAt,
  samplesOf,
  ticksOf,
  topOf,
  windowMs,
} from '../lanes.ts'
import { Chart, moment } from './chart.tsx'

/** One lane over the last three minutes. Both have the same axes, so that they can be laid side by side. */
export function LaneCharts({ lane, state }: { lane: LaneName; state: DemoState }) {
  const { title } = laneWords[lane]
  const samples = samplesOf(state, lane)
  const to = axisEnd(state)
  const lines = state.marks.map(({ at, action }) => ({ at, tag: demoActions[action].key }))
  const losses = state.lost.filter((lost) => lost.lane === lane).map(({ ackedAt }) => ackedAt)
  if (lane === 'bare' && samples.length === 0) return <Off state={state} />
  return (
    <section class={`card charts lane-${lane}`} aria-labelledby={`charts-${lane}`}>
      <h2 id={`charts-${lane}`}>{title}</h2>
      <Reading lane={lane} state={state} />
      {order.map((name, index) => (
        <figure key={name} class="measure">
          <Caption name={name} samples={samples} />
          <Chart
            label={`${measures[name].title}, the last three minutes; now ${figureOf(measures[name], samples.at(-1))}`}
            points={pointsOf(samples, measures[name])}
            from={to - windowMs}
            to={to}
            {...scaleOf(measures[name], state)}
            lines={lines}
            losses={name === 'errors' ? losses : none}
            place={index === 0 ? 'first' : index === order.length - 1 ? 'last' : 'middle'}
          />
        </figure>
      ))}
    </section>
  )
}

const order = ['requests', 'errors', 'p99', 'queries'] as const satisfies readonly (keyof typeof measures)[]
const none: readonly number[] = []

/** Follows the pointer by itself, so that moving it draws no chart again. */
function Caption({ name, samples }: { name: keyof typeof measures; samples: readonly LaneSample[] }) {
  const shown = sampleAt(samples, moment.value)
  return (
    <figcaption>
      <span>{measures[name].title}</span>
      <span class="measure-note">{noteOf(name, shown)}</span>
      <strong>{figureOf(measures[name], shown)}</strong>
    </figcaption>
  )
}

function scaleOf(measure: Measure, { samples }: DemoState) {
  const top = topOf(samples, measure)
  const ticks = ticksOf(measure, top).map((value) => ({
    height: heightOf(measure, value),
    label: measure.format(value),
  }))
  return { top: heightOf(measure, top), ticks }
}

function figureOf(measure: Measure, sample: LaneSample | undefined): string {
  const value = sample === undefined ? null : measure.of(sample)
  return value === null ? '–' : measure.format(value)
}

function noteOf(name: keyof typeof measures, sample: LaneSample | undefined): string {
  if (sample === undefined) return ''
  if (name === 'requests' && sample.stale > 0) return `${formatCount(sample.stale)} marked stale`
  if (name === 'queries' && sample.loadsSaved > 0) return `${formatCount(sample.loadsSaved)} saved`
  return ''
}

/** What the pointer is on: the moment, and what was done just then. Without a pointer, what was done last. */
function Reading({ lane, state }: { lane: LaneName; state: DemoState }) {
  const at = moment.value
  const now = axisEnd(state)
  const mark = at === null ? state.marks.findLast((one) => one.at > now - windowMs) : markNear(state.marks, at)
  if (mark === undefined)
    return <p class="muted reading">{at === null ? 'The last three minutes' : formatTime(at, now)}</p>
  return (
    <p class="reading">
      <kbd aria-hidden="true">{demoActions[mark.action].key}</kbd> {formatTime(mark.at, now)}{' '}
      {lane === 'bare' && fallsOnBoth.has(mark.action) ? here : (mark.because ?? mark.what)}
    </p>
  )
}

/** Faults of the cache: the other lane has a cluster of its own, and nobody who says anything of it. */
const fallsOnBoth: ReadonlySet<DemoAction> = new Set(['kill', 'two', 'freeze', 'cache'])
const here = 'the same here, on the same slots: nobody is told of it'

const nearMs = 1500

const markNear = (marks: readonly DemoMark[], at: number): DemoMark | undefined =>
  marks.findLast((mark) => Math.abs(mark.at - at) <= nearMs)

function Off({ state: { compare, requestsPerSecond } }: { state: DemoState }) {
  const { title } = laneWords.bare
  return (
    <section class="card charts off" aria-labelledby="charts-bare">
      <h2 id="charts-bare">{title}</h2>
      <div class="empty">
        {compare === 'starting' ? (
          <p>The second cluster is being started…</p>
        ) : (
          <>
            <p>
              Press <kbd>{demoActions.compare.key}</kbd> to compare.
            </p>
            <p class="muted">
              The same shop, {formatCount(requestsPerSecond)} requests a second, on a second small cluster of the same
              engine, with a plain ioredis client. From then on every fault falls on both.
            </p>
          </>
        )}
      </div>
    </section>
  )
}
