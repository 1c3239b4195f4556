import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { CacheError } from '../../src/errors.ts'
import { pauseMs, saveBatch } from '../../src/write-behind/saving.ts'

interface Terms {
  readonly poison?: readonly number[]
  readonly away?: boolean
  readonly readable?: boolean
  readonly careful?: boolean
}

/** A store that takes everything but some, or nothing at all. */
async function save(
  entries: readonly number[],
  { poison = [], away = false, readable = true, careful = false }: Terms,
) {
  let saves = 0
  const table = new Set<number>()
  const ports = {
    async save(part: readonly number[]) {
      saves++
      if (away || part.some((entry) => poison.includes(entry))) throw new Error('the store says no')
      for (const entry of part) table.add(entry)
    },
    answers: async () => readable && !away,
  }
  const saved = await saveBatch(entries, ports, { careful, random: () => 0.4 })
  return { ...saved, blamed: saved.blamed.map(({ entry }) => entry), saves, table }
}

const hundred = Array.from({ length: 100 }, (_, index) => index)

test('one save for a batch that goes well', async () => {
  const { stored, saves } = await save(hundred, {})
  expect({ stored, saves }).toEqual({ stored: hundred, saves: 1 })
})

test('finds the one that the store does not take, and saves all others', async () => {
  const { stored, blamed, away, saves } = await save(hundred, { poison: [37] })
  expect(blamed).toEqual([37])
  expect(stored).toEqual(hundred.filter((entry) => entry !== 37))
  expect(away).toBeUndefined()
  expect(saves).toBeLessThan(20)
})

test('blames nobody while the store is away, and does not try all of them', async () => {
  const { blamed, away, saves } = await save(hundred, { away: true })
  expect(blamed).toEqual([])
  expect(away?.error).toEqual(new Error('the store says no'))
  expect(saves).toBeLessThan(12)
})

test('sends two ahead after the store was away', async () => {
  const { away, saves } = await save(hundred, { away: true, careful: true })
  expect(away).toBeDefined()
  expect(saves).toBe(2)
  const back = await save(hundred, { careful: true })
  expect({ stored: back.stored.length, saves: back.saves }).toEqual({ stored: 100, saves: 3 })
})

test('blames a lone key only if the store could be read', async () => {
  expect(await save([1], { poison: [1] })).toMatchObject({ blamed: [1], away: undefined })
  expect(await save([1], { poison: [1], readable: false })).toMatchObject({ blamed: [], away: {} })
})

test('gives up at once when a save comes to no end', async () => {
  let saves = 0
  const late = new CacheError('LOADER_TIMEOUT', 'too late')
  const ports = {
    save: () => (saves++, Promise.reject(late)),
    answers: async () => true,
  }
  const { away, blamed } = await saveBatch(hundred, ports, { careful: false, random: () => 0 })
  expect({ away, blamed, saves }).toEqual({ away: { error: late }, blamed: [], saves: 1 })
})

test('law: what is stored is in the table, only poison is blamed, and nothing is both', async () => {
  const batch = fc.uniqueArray(fc.nat(50), { minLength: 1 })
  await fc.assert(
    fc.asyncProperty(batch, fc.uniqueArray(fc.nat(50)), fc.boolean(), async (entries, poison, careful) => {
      const { stored, blamed, table, away } = await save(entries, { poison, careful })
      expect(new Set(stored)).toEqual(table)
      expect(blamed.filter((entry) => !poison.includes(entry))).toEqual([])
      expect(blamed.filter((entry) => table.has(entry))).toEqual([])
      if (away === undefined) expect(stored.length + blamed.length).toBe(entries.length)
    }),
  )
})

test('pauses double up to a bound, and are taken by chance', () => {
  const terms = { from: 100, upTo: 30_000 }
  expect([0, 1, 2, 20, 1e6].map((tries) => pauseMs(tries, terms, 0.999_999))).toEqual([100, 200, 400, 30_000, 30_000])
  expect(pauseMs(5, terms, 0)).toBe(0)
})
