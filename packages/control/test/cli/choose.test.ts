import { expect, test } from 'vitest'
import { chooseAmong } from '../../src/cli/connect.ts'

test('the name may be left out where there is only one', () => {
  expect(chooseAmong(['shop'], undefined)).toBe('shop')
  expect(chooseAmong(['cart', 'shop'], 'cart')).toBe('cart')
})

test('where it is not clear which one is meant, it says which there are', () => {
  expect(() => chooseAmong(['cart', 'shop'], undefined)).toThrow('which one? There are cart, shop: name one')
  expect(() => chooseAmong(['cart', 'shop'], 'shpo')).toThrow('there is no deployment "shpo", only cart, shop')
  expect(() => chooseAmong([], undefined)).toThrow('there is no deployment yet: "holdfast up" makes one')
})
