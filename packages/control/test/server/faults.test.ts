import type { FaultWish } from '@holdfast/core'
import { faultTable } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { aStatus } from './demo-status.ts'
import { asAdmin, asCli, aWorld, fromOwnPage, type World } from './support.ts'

let world: World
beforeEach(() => {
  world = aWorld()
  world.platform.show(aStatus())
})
afterEach(() => world.close())

const faults = '/api/v1/deployments/shop/faults'
const post = (url: string, body?: object) =>
  world.app.inject({ method: 'POST', url, headers: asCli, ...(body === undefined ? {} : { payload: body }) })

describe('faults', () => {
  test('a preview says what it would do and what stands against it, and does nothing', async () => {
    const answer = await post(`${faults}/preview`, { fault: 'freeze' })
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toEqual({
      order: null,
      preconditions: [{ met: false, because: 'shop is not labelled for drills' }],
      costs: faultTable.freeze.costs,
      heals: faultTable.freeze.heals,
    })
    expect(world.platform.injected).toEqual([])
  })

  test('a wish is passed on as it was said, with who said it', async () => {
    const wish: FaultWish = { fault: 'freeze', forMs: 5000, node: 'node-2', onProduction: 'shop', drill: 'd-1' }
    const answer = await post(faults, wish)
    expect(answer.statusCode).toBe(201)
    expect(answer.json()).toMatchObject({ id: 'f-1', deployment: 'shop', fault: 'freeze', healedAt: null })
    const headers = await asAdmin(world)
    await world.app.inject({ method: 'POST', url: faults, headers, payload: { fault: 'storm', onProduction: 'shop' } })
    expect(world.platform.injected).toEqual([
      { wish, actor: 'cli' },
      { wish: { fault: 'storm', forMs: null, node: null, onProduction: 'shop', drill: null }, actor: 'admin' },
    ])
  })

  test('a refusal is told with its code', async () => {
    const answer = await post(faults, { fault: 'kill-all' })
    expect(answer.statusCode).toBe(409)
    expect(answer.json().error).toMatchObject({ code: 'REFUSED_DRILL', message: 'shop is not labelled for drills' })
  })

  test('one that lasts is listed and can be healed; one that nobody knows cannot', async () => {
    await post(faults, { fault: 'freeze', onProduction: 'shop' })
    const list = await world.app.inject({ url: faults, headers: asCli })
    expect(list.json().faults).toMatchObject([{ id: 'f-1', healedAt: null }])
    const healed = await post(`${faults}/f-1/heal`)
    expect(healed.statusCode).toBe(200)
    expect(healed.json()).toMatchObject({ id: 'f-1', healedAt: 1_750_000_001_000 })
    expect((await post(`${faults}/..%2f..%2fshop/heal`)).json().error.code).toBe('NOT_FOUND')
  })

  test.each([
    [{}, 'fault: one of kill-primary, kill-replica'],
    [{ fault: 'rm -rf' }, 'fault: one of'],
    [{ fault: 'freeze', forMs: '20s' }, 'forMs: milliseconds, or null'],
    [{ fault: 'freeze', node: 7 }, 'node: a name, or null'],
    [{ fault: 'freeze', drill: 'x'.repeat(81) }, 'drill: a name, or null'],
    [{ fault: 'freeze', force: true }, 'unknown field "force"'],
  ])('%j is not understood', async (body, sentence) => {
    for (const url of [faults, `${faults}/preview`]) {
      const answer = await post(url, body)
      expect(answer.statusCode).toBe(400)
      expect(answer.json().error).toMatchObject({ code: 'USAGE' })
      expect(answer.json().error.message).toContain(sentence)
    }
    expect(world.platform.injected).toEqual([])
  })

  test('nobody injects without being known, and nothing is injected into what is not there', async () => {
    const stranger = {
      method: 'POST',
      url: faults,
      headers: fromOwnPage,
      payload: { fault: 'freeze' },
    } as const
    expect((await world.app.inject(stranger)).statusCode).toBe(401)
    for (const url of ['faults', 'faults/preview', 'faults/f-1/heal']) {
      expect((await post(`/api/v1/deployments/none/${url}`, { fault: 'freeze' })).statusCode).toBe(404)
    }
  })
})
