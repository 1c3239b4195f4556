import type { DemoFrame, DemoState, LaneName, LaneSample } from '@holdfast/core'
import { formatDuration } from '@holdfast/core'
import { formatCount } from './figures.ts'

/** What the charts show, ms. */
export const windowMs = 180_000

export const laneNames = ['holdfast', 'bare'] as const satisfies readonly LaneName[]

export const laneWords: Readonly<Record<LaneName, { readonly title: string; readonly what: string }>> = {
  holdfast: { title: 'Holdfast', what: 'The shop with @holdfast/cache, on a cluster that Holdfast keeps up.' },
  bare: {
    title: 'The engine alone',
    what: 'The same shop with plain ioredis, on a cluster that nobody keeps up.',
  },
}

/** One chart of each lane. Both lanes have the same scale: a second is as high here as there. */
export interface Measure {
  readonly title: string
  of(sample: LaneSample): number | null
  format(value: number): string
  /** `log`, for times: with Holdfast they are milliseconds, without it they can be many seconds. */
  readonly scale: 'linear' | 'log'
  /** The scale goes at least this far up, so that a quiet lane looks quiet. */
  readonly topMin: number
}

export const measures = {
  requests: {
    title: 'Requests a second',
    of: ({ requests }) => requests,
    format: formatCount,
    scale: 'linear',
    topMin: 50,
  },
  errors: {
    title: 'Errors a second',
    of: ({ errors }) => errors,
    format: formatCount,
    scale: 'linear',
    topMin: 5,
  },
  p99: {
    title: 'Slowest in a hundred (p99)',
    of: ({ p99Ms }) => p99Ms,
    format: (ms) => formatDuration(Math.round(ms)),
    scale: 'log',
    topMin: 10_000,
  },
  queries: {
    title: 'Database queries a second',
    of: ({ queries }) => queries,
    format: formatCount,
    scale: 'linear',
    topMin: 20,
  },
} as const satisfies Readonly<Record<string, Measure>>

/** A frame of the stream, put into what is known. Samples that come twice count once. */
export function withFrame(state: DemoState | undefined, frame: DemoFrame): DemoState | undefined {
  if (frame.kind === 'state') return frame.state
  if (state === undefined) return undefined
  const { sample } = frame
  const others = state.samples.filter(
    ({ at, lane }) => at > sample.at - windowMs && (at !== sample.at || lane !== sample.lane),
  )
  return { ...state, samples: [...others, sample] }
}

export const samplesOf = (state: DemoState, lane: LaneName): LaneSample[] =>
  state.samples.filter((sample) => sample.lane === lane)

/** Where the time axis of all charts ends: the newest second that any lane told. */
export const axisEnd = ({ samples, startedAt }: DemoState): number =>
  samples.reduce((newest, { at }) => Math.max(newest, at), startedAt)

export type Points = readonly [at: number[], values: (number | null)[]]

/** Where a value is drawn. A logarithm begins somewhere: below a millisecond nobody waits. */
export function heightOf({ scale }: Measure, value: number): number
export function heightOf({ scale }: Measure, value: number | null): number | null
export function heightOf({ scale }: Measure, value: number | null): number | null {
  return value === null || scale === 'linear' ? value : Math.log10(Math.max(1, value))
}

/** The values that the scale names. */
export const ticksOf = ({ scale }: Measure, top: number): number[] => (scale === 'linear' ? [0, top] : [1, 100, 10_000])

/** Seconds that nobody told are a gap, not a straight line over it. */
const gapMs = 2500

export function pointsOf(samples: readonly LaneSample[], measure: Measure): Points {
  const points: [number[], (number | null)[]] = [[], []]
  let before: number | undefined
  for (const sample of samples) {
    if (before !== undefined && sample.at - before > gapMs) {
      points[0].push(before + 1)
      points[1].push(null)
    }
    points[0].push(sample.at)
    points[1].push(heightOf(measure, measure.of(sample)))
    before = sample.at
  }
  return points
}

/** The upper end of a measure's scale, over both lanes. */
export function topOf(samples: readonly LaneSample[], measure: Measure): number {
  const highest = samples.reduce((max, sample) => Math.max(max, measure.of(sample) ?? 0), measure.topMin)
  const magnitude = 10 ** Math.floor(Math.log10(highest))
  return ([1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((step) => step * magnitude >= highest) ?? 10) * magnitude
}

/** The sample of a moment: the nearest one, if there is one within a second and a half. */
export function sampleAt(samples: readonly LaneSample[], at: number | null): LaneSample | undefined {
  if (at === null) return samples.at(-1)
  const nearest = samples.toSorted((a, b) => Math.abs(a.at - at) - Math.abs(b.at - at))[0]
  return nearest !== undefined && Math.abs(nearest.at - at) <= 1500 ? nearest : undefined
}
