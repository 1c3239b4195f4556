import { afterEach, beforeEach, expect, test } from 'vitest'
import { anIncident } from '../ledger/an-incident.ts'
import { aStatus } from './demo-status.ts'
import { asAdmin, asCli, aWorld, type World } from './support.ts'

let world: World
beforeEach(() => {
  world = aWorld()
  world.platform.show(aStatus())
})
afterEach(() => world.close())

const get = (url: string, headers: Record<string, string> = asCli) =>
  world.app.inject({ url: `/api/v1/deployments/${url}`, headers })

test('the ledger of a deployment, for the command line and for a signed-in browser', async () => {
  const incident = anIncident({ beganAt: world.clock.wall() - 500, endedAt: world.clock.wall() })
  world.platform.incidents.push(incident)
  const answer = await get('shop/incidents')
  expect(answer.statusCode).toBe(200)
  expect(answer.json()).toMatchObject({ deployment: 'shop', incidents: [incident] })
  expect((await get('shop/incidents', await asAdmin(world))).json().incidents).toEqual([incident])
  expect((await get('shop/incidents', { host: asCli.host })).statusCode).toBe(401)
})

test('looks back thirty days unless it is told how far', async () => {
  const now = world.clock.wall()
  expect((await get('shop/incidents')).json().since).toBe(now - 30 * 86_400_000)
  expect((await get(`shop/incidents?since=${now - 1000}`)).json().since).toBe(now - 1000)
  expect((await get('shop/incidents?since=0')).json().since).toBe(0)
})

test.each(['abc', '-1', '1.5', '', '99999999999999999999', '1e3', '9000000000000', '1&since=2'])(
  'since=%s is no time',
  async (since) => {
    const answer = await get(`shop/incidents?since=${since}`)
    expect(answer.statusCode).toBe(400)
    expect(answer.json().error).toMatchObject({ code: 'USAGE', message: expect.stringContaining('since: ') })
  },
)

test('an unknown deployment has no ledger', async () => {
  const answer = await get('none/incidents')
  expect(answer.statusCode).toBe(404)
  expect(answer.json().error.code).toBe('NOT_FOUND')
})
