import { expect, test } from 'vitest'
import { userCache } from '../../src/binary/user-cache.ts'

test("the user's cache is where XDG_CACHE_HOME says, if that is a place", () => {
  expect(userCache({ XDG_CACHE_HOME: '/var/cache/ann' }, '/home/ann')).toBe('/var/cache/ann/holdfast')
  expect(userCache({}, '/home/ann')).toBe('/home/ann/.cache/holdfast')
  expect(userCache({ XDG_CACHE_HOME: '' }, '/home/ann')).toBe('/home/ann/.cache/holdfast')
  expect(userCache({ XDG_CACHE_HOME: 'cache' }, '/home/ann')).toBe('/home/ann/.cache/holdfast')
})
