/** One second of a lane, put together from what its shops, visitors and writers counted: each error by one of them. */
import type { LaneName, LaneSample } from '@holdfast/core'
import type { LoadFigures, ShopFigures } from './messages.ts'

export interface Counted {
  readonly lane: LaneName
  readonly at: number
  /** The second before; undefined at the start. */
  readonly before: LaneSample | undefined
  readonly shops: readonly ShopFigures[]
  /** Undefined: they have not reported in time. */
  readonly load: LoadFigures | undefined
}

/** For how long samples are kept. */
const keptForMs = 180_000

export function sampleOf({ lane, at, before, shops, load }: Counted): LaneSample {
  const sum = (figure: 'requests' | 'errors' | 'stale' | 'queries' | 'loadsSaved'): number =>
    shops.reduce((total, figures) => total + figures[figure], 0)
  const requests = sum('requests')
  const errors = sum('errors') + (load?.gaveUp ?? 0) + (load?.unacknowledged ?? 0)
  return {
    lane,
    at,
    requests,
    errors,
    stale: sum('stale'),
    p99Ms: load?.p99Ms ?? null,
    queries: sum('queries'),
    loadsSaved: sum('loadsSaved'),
    acked: load?.acked ?? before?.acked ?? 0,
    readBack: load?.readBack ?? before?.readBack ?? 0,
    missing: load?.missing ?? before?.missing ?? 0,
    errorsTotal: (before?.errorsTotal ?? 0) + errors,
    requestsTotal: (before?.requestsTotal ?? 0) + requests,
  }
}

/** With one more, and without those that are older than three minutes. */
export function keepSample(samples: readonly LaneSample[], sample: LaneSample): readonly LaneSample[] {
  return [...samples.filter(({ at }) => at > sample.at - keptForMs), sample]
}
