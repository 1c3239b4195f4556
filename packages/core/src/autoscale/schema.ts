/** When a deployment grows and shrinks by itself, as it is written in a spec. */
import { z } from 'zod'
import { duration, ratio } from '../units.ts'

/** `70%`, `force` or `80% force`. */
const memoryThreshold = z.string().transform((text, context) => {
  const words = text.split(' ').filter((word) => word !== 'force')
  const share = ratio.safeParse(words[0] ?? '70%')
  if (words.length < 2 && share.success) return { share: share.data, force: text.split(' ').includes('force') }
  context.addIssue({ code: 'custom', message: `"${text}" is not a threshold: write 70%, force, or 80% force` })
  return z.NEVER
})

const nodes = z.int().min(1).max(1000).nullable().default(null)

export const autoscaleSchema = z.strictObject({
  nodes: z
    .strictObject({ min: nodes, max: nodes })
    .prefault({})
    .describe(
      'Nodes, replicas among them: never fewer, never more. Default: 3 and 6 shards, so 6 and 12 where each has a replica.',
    ),
  out: z
    .strictObject({
      cpuAbove: ratio.prefault('70%'),
      memoryAbove: memoryThreshold.prefault('70%'),
      for: duration.prefault('5m'),
    })
    .prefault({})
    .describe(
      'One shard more when CPU or memory was above this for so long. CPU: the main thread of each primary as a share of one core, the mean of all. Memory: what all primaries use of their `maxmemory`; of a cache that evicts by design only while it evicts and its hit rate is below `hitRateTarget`, unless it says `force`.',
    ),
  in: z
    .strictObject({ bothBelow: ratio.prefault('40%'), for: duration.prefault('15m') })
    .prefault({})
    .describe('One shard less when CPU and memory were both below this for so long.'),
  margin: ratio
    .prefault('10%')
    .describe('How far below the thresholds of `out` the rest must stay after a shard is gone, in points of percent.'),
  coolDown: duration
    .prefault('10m')
    .describe('How long nothing is done after the end of a change, its own or another.'),
  hitRateTarget: ratio.prefault('85%').describe('Below this, a cache that evicts has too little memory.'),
  sampleEvery: duration.prefault('10s').describe('How often it is measured.'),
})
