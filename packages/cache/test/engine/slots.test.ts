import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { keyInside, slotOf } from '../../src/engine/slots.ts'

test('agrees with the engine', () => {
  // CLUSTER KEYSLOT of Redis 7.
  expect(slotOf('123456789')).toBe(12_739)
  expect(slotOf('foo')).toBe(12_182)
  expect(slotOf('')).toBe(0)
})

test('counts the first pair of braces that has something inside', () => {
  expect(slotOf('{user1000}.following')).toBe(slotOf('user1000'))
  expect(slotOf('foo{bar}{zap}')).toBe(slotOf('bar'))
  expect(slotOf('foo{{bar}}zap')).toBe(slotOf('{bar'))
  expect(slotOf('foo{}{bar}')).not.toBe(slotOf('bar'))
  expect(slotOf('foo{bar')).not.toBe(slotOf('bar'))
})

test('is of the bytes of a key, not of its characters', () => {
  expect(slotOf('{größe}:1')).toBe(slotOf('größe'))
  const latin = Buffer.from('größe').toString('latin1')
  expect(slotOf('größe')).not.toBe(slotOf(latin))
})

test('law: a hash tag alone decides', () => {
  const tag = fc.string({ minLength: 1 }).filter((text) => !text.includes('}'))
  fc.assert(
    fc.property(tag, fc.string(), (inside, after) => {
      expect(slotOf(`{${inside}}${after}`)).toBe(slotOf(`{${inside}}`))
    }),
  )
})

test('finds a key inside ranges, however narrow', () => {
  const key = keyInside([
    [5, 5],
    [9000, 9001],
  ])
  expect([5, 9000, 9001]).toContain(slotOf(key ?? ''))
  expect(keyInside([])).toBeUndefined()
})
