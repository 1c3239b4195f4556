import type { Break, Deployment } from './deployment.ts'
import { aDeployment, agentOf, engineIdOf, factsOf, viewsOf } from './deployment.ts'
import { placed } from './layout.ts'

/** Of four shards the last one has no slots: shard-3 has them. Its nodes are node-4, and node-8 behind it. */
export const slotlessFour = (...breaks: readonly Break[]): Deployment => drainedFour(marked, ...breaks)

/** The same, and nobody has said that it may be so. */
export const drainedFour = (...breaks: readonly Break[]): Deployment =>
  aDeployment({ shards: 4 }).with(
    (world) => {
      for (const { entries } of viewsOf(world)) {
        const [taker, giver] = ['node-3', 'node-4'].map((id) => entries.find((one) => one.engineId === engineIdOf(id)))
        if (taker === undefined || giver === undefined) throw new Error('there is no node-3, or no node-4')
        taker.slots = [[8192, 16_383]]
        giver.slots = []
      }
      for (const id of ['node-4', 'node-8']) {
        factsOf(world, id).keys = 0
        const { record } = agentOf(world, id)
        if (record !== null) record.ownedSlots = false
      }
    },
    ...breaks,
  )

const marked: Break = (world) => {
  for (const id of ['node-4', 'node-8']) placed(id, { slotless: true })(world)
}
