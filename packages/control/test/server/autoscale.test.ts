import { afterEach, beforeEach, expect, test } from 'vitest'
import { aStatus } from './demo-status.ts'
import { asCli, aWorld, type World } from './support.ts'

let world: World
beforeEach(() => {
  world = aWorld()
  world.platform.show(aStatus())
})
afterEach(() => world.close())

const get = (url: string, headers: Record<string, string> = asCli) =>
  world.app.inject({ url: `/api/v1/deployments/${url}`, headers })

test('what would be done about the size of a deployment, for whoever may see it', async () => {
  const answer = await get('shop/autoscale')
  expect(answer.statusCode).toBe(200)
  expect(answer.json()).toMatchObject({ deployment: 'shop', autoscale: 'off', decision: { action: 'undecided' } })
  expect((await get('shop/autoscale', { host: asCli.host })).statusCode).toBe(401)
  expect((await get('none/autoscale')).statusCode).toBe(404)
})
