import { expect, test } from 'vitest'
import { collectLoads, type ManyLoader } from '../src/load-many.ts'
import { type LoaderContext, unchanged } from '../src/loader.ts'

const contextOf = (key: string, signal = new AbortController().signal): LoaderContext<unknown> => ({
  key,
  signal,
  stale: undefined,
  unchanged,
  keepFor: () => {},
})

/** Loads of these keys, all in one tick. */
function loadAll(keys: readonly string[], loadMany: ManyLoader<unknown>, signals: readonly AbortSignal[] = []) {
  const load = collectLoads(loadMany)
  return Promise.allSettled(keys.map(async (key, index) => load(contextOf(key, signals[index]))))
}

const valuesOf = (settled: readonly PromiseSettledResult<unknown>[]): unknown[] =>
  settled.map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as Error).message))

test('keys of one tick are one load, those of the next another', async () => {
  const asked: (readonly string[])[] = []
  const load = collectLoads<unknown>((keys) => {
    asked.push(keys)
    return keys.map((key) => `value of ${key}`)
  })
  const first = await Promise.all([load(contextOf('a')), load(contextOf('b'))])
  expect(await load(contextOf('c'))).toBe('value of c')
  expect([first, asked]).toEqual([
    ['value of a', 'value of b'],
    [['a', 'b'], ['c']],
  ])
})

test('values may come by key, and what is left out is nothing', async () => {
  expect(valuesOf(await loadAll(['a', 'b'], () => new Map([['b', 2]])))).toEqual([undefined, 2])
})

test.each([
  ['nothing', undefined],
  ['a plain object', { a: 1 }],
  ['a text', 'ab'],
  ['too few', [1]],
  ['too many', [1, 2, 3]],
])('an answer of %s is refused for all keys, and is not taken for "no such thing"', async (_, answer) => {
  const settled = await loadAll(['a', 'b'], () => answer as never)
  expect(settled.map((one) => one.status === 'rejected' && (one.reason as { code: string }).code)).toEqual([
    'INVALID',
    'INVALID',
  ])
})

test('an error, thrown or rejected, is that of all keys', async () => {
  const thrown = await loadAll(['a', 'b'], () => {
    throw new Error('down')
  })
  const rejected = await loadAll(['a', 'b'], () => Promise.reject(new Error('down')))
  expect([valuesOf(thrown), valuesOf(rejected)]).toEqual([
    ['down', 'down'],
    ['down', 'down'],
  ])
})

test('the load is given up when nobody waits for any of its keys', async () => {
  const controllers = [new AbortController(), new AbortController()]
  let given: AbortSignal | undefined
  let finish: (values: unknown[]) => void = () => {}
  const loading = loadAll(
    ['a', 'b'],
    (_, { signal }) => {
      given = signal
      return new Promise<unknown[]>((resolve) => (finish = resolve))
    },
    controllers.map(({ signal }) => signal),
  )
  await new Promise((resolve) => setImmediate(resolve))
  controllers[0]?.abort()
  expect(given?.aborted).toBe(false)
  controllers[1]?.abort()
  expect(given?.aborted).toBe(true)
  finish([1, 2])
  await loading
})
