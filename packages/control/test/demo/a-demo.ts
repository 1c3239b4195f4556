import type { DemoState, LaneSample } from '@holdfast/core'

export function aSample(parts: Partial<LaneSample> = {}): LaneSample {
  return {
    lane: 'holdfast',
    at: 1_750_000_000_000,
    requests: 200,
    errors: 0,
    stale: 0,
    p99Ms: 46.4,
    queries: 12,
    loadsSaved: 160,
    acked: 1204,
    readBack: 1190,
    missing: 0,
    errorsTotal: 0,
    requestsTotal: 12_000,
    ...parts,
  }
}

export function aDemo(parts: Partial<DemoState> = {}): DemoState {
  return {
    deployment: 'shop',
    startedAt: 1_750_000_000_000,
    requestsPerSecond: 200,
    database: { kind: 'PostgreSQL', delayMs: 40, limit: 8, running: true },
    compare: 'off',
    samples: [aSample()],
    marks: [],
    faultUnderway: null,
    buyers: null,
    hot: null,
    keys: [],
    lost: [],
    ...parts,
  }
}
