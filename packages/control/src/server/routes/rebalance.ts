import type { RebalanceWish } from '@holdfast/core'
import { balanceKinds } from '@holdfast/core'
import type { FastifyPluginAsync } from 'fastify'
import { oneOf, parseFields, text, usage } from '../body.ts'
import type { Platform } from '../platform.ts'
import { type ByName, refuseUnknown } from './deployments.ts'

const weightsLengthMax = 4000
const weightMax = 1000

/** How slots would be shared out anew. */
export const rebalanceRoutes: FastifyPluginAsync<{ platform: Platform }> = async (app, { platform }) => {
  app.get<ByName>('/deployments/:name/rebalance', async ({ params: { name }, query }) => {
    refuseUnknown(platform, name)
    const fields = parseFields(query, ['by', 'weights'])
    const by = fields['by'] === undefined ? 'slots' : oneOf(fields, 'by', balanceKinds)
    const weights = fields['weights'] === undefined ? '' : text(fields, 'weights', weightsLengthMax)
    return platform.previewRebalance(name, { by, weights: weightsIn(weights) })
  })
}

/** `shard-2:0.5,shard-3:0` */
function weightsIn(list: string): RebalanceWish['weights'] {
  const pairs = list.split(',').filter((pair) => pair !== '')
  return new Map(
    pairs.map((pair): [string, number] => {
      const [, shard = '', number = ''] = /^([a-z0-9-]{1,80}):(\d{1,4}(?:\.\d{1,6})?)$/.exec(pair) ?? []
      if (shard !== '' && Number(number) <= weightMax) return [shard, Number(number)]
      throw usage(`weights: shards with their shares, such as shard-2:0.5,shard-3:0; each 0 to ${weightMax}`)
    }),
  )
}
