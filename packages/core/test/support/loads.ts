import type { LoadSample, PrimaryLoad, ScalePolicy, ScaleState } from '../../src/index.ts'
import { parseWish, policyOf } from '../../src/index.ts'

/** The policy of a spec that wants `autoscale`, with the defaults of the rest. */
export const aPolicy = (autoscale: object = {}, spec: object = {}): ScalePolicy =>
  policyOf(parseWish({ name: 'shop', autoscale, ...spec }))

/** Of a deployment whose memory counts as it is. */
export const aStorePolicy = (autoscale: object = {}): ScalePolicy => aPolicy(autoscale, { use: 'primary-store' })

const aPrimaryLoad = (parts: Partial<PrimaryLoad> = {}): PrimaryLoad => ({
  shard: 'shard-1',
  primary: 'node-1',
  cpu: 0.5,
  memoryBytes: 50,
  memoryMaxBytes: 100,
  evicted: 0,
  hits: 90,
  misses: 10,
  ...parts,
})

type Parts = Partial<Omit<PrimaryLoad, 'shard'>>

/** All shards alike, but for what is said of each. */
export const aSample = (at: number, parts: Parts = {}, each: readonly Parts[] = [{}, {}, {}]): LoadSample => ({
  at,
  shards: each.map((own, index) =>
    aPrimaryLoad({ shard: `shard-${index + 1}`, primary: `node-${index + 1}`, ...parts, ...own }),
  ),
})

/** One each ten seconds up to `until`, the same all along or as a function of time says. */
export function samplesUntil(
  until: number,
  forMs: number,
  sample: Parts | ((at: number) => LoadSample),
  shards = 3,
): LoadSample[] {
  const each = Array.from({ length: shards }, () => ({}))
  const count = Math.floor(forMs / 10_000)
  return Array.from({ length: count }, (_, index) => until - (count - 1 - index) * 10_000).map((at) =>
    typeof sample === 'function' ? sample(at) : aSample(at, sample, each),
  )
}

export const aState = (parts: Partial<ScaleState> = {}): ScaleState => ({
  now: 10_000_000,
  shards: 3,
  frozen: null,
  lastActionEndedAt: null,
  noRoom: null,
  ...parts,
})
