import { expect, test } from 'vitest'
import { LastSeen } from '../../src/demo/last-seen.ts'

const away = () => Promise.reject(new Error('away'))

test('shows what is, and what was last only when nobody can say', async () => {
  const carts = new LastSeen<number>(10)
  expect(await carts.elseLast('v1', async () => 1)).toEqual({ value: 1, isLast: false })
  expect(await carts.elseLast('v1', async () => 2)).toEqual({ value: 2, isLast: false })
  expect(await carts.elseLast('v1', away)).toEqual({ value: 2, isLast: true })
})

test('fails with the reason where nothing was seen', async () => {
  await expect(new LastSeen<number>(10).elseLast('v1', away)).rejects.toThrow('away')
})

test('forgets the one that was seen least lately', async () => {
  const carts = new LastSeen<number>(2)
  for (const name of ['a', 'b', 'a', 'c']) await carts.elseLast(name, async () => 1)
  expect(await carts.elseLast('a', away)).toMatchObject({ isLast: true })
  await expect(carts.elseLast('b', away)).rejects.toThrow('away')
})
