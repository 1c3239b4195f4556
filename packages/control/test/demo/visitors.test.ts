import { expect, test } from 'vitest'
import { nextVisit } from '../../src/demo/visitors.ts'

/** The same row of numbers each time. */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
    return state / 2 ** 32
  }
}

const visits = (count: number, wanted: string | null = null) => {
  const random = dice(7)
  return Array.from({ length: count }, () => nextVisit(random, wanted))
}
const shareOf = (paths: readonly string[], isIt: (path: string) => boolean): number =>
  paths.filter(isIt).length / paths.length

test('few products are read often, and all of them sometimes', () => {
  const products = visits(50_000).flatMap(({ path }) => /^\/products\/(p\d+)$/.exec(path)?.[1] ?? [])
  expect(new Set(products).size).toBe(300)
  expect(shareOf(products, (product) => product === 'p1')).toBeGreaterThan(0.05)
  expect(shareOf(products, (product) => product === 'p1')).toBeGreaterThan(
    1.5 * shareOf(products, (product) => product === 'p2'),
  )
})

test('most visits look at something, some at a cart, and a few put something in', () => {
  const all = visits(20_000)
  const paths = all.map(({ method, path }) => `${method} ${path}`)
  expect(shareOf(paths, (path) => path.startsWith('GET /products/'))).toBeCloseTo(0.86, 1)
  expect(shareOf(paths, (path) => path === 'GET /cart')).toBeCloseTo(0.08, 1)
  expect(shareOf(paths, (path) => path.startsWith('POST /cart/'))).toBeCloseTo(0.06, 1)
  expect(new Set(all.map(({ visitor }) => visitor)).size).toBe(200)
})

test('in a sale everybody wants the same', () => {
  const wanted = visits(1000, 'p42').flatMap(({ path }) => /p\d+/.exec(path)?.[0] ?? [])
  expect(new Set(wanted)).toEqual(new Set(['p42']))
})
