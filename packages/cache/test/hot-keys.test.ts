import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { type HotKey, HotKeys, type HotKeysOptions } from '../src/hot-keys.ts'
import { HandClock } from '../src/testing/hand-clock.ts'

const seed = Number(process.env['SEED'] ?? 1)

function someHotKeys(options: Partial<HotKeysOptions> = {}) {
  const clock = new HandClock({ seed })
  const hot = new HotKeys({ clock, ...options })
  const told: string[] = []
  hot.on('hot', ({ key }) => told.push(`hot ${key}`))
  hot.on('cooled', ({ key }) => told.push(`cooled ${key}`))
  /** So many reads a second, spread over so much time. */
  const read = async (next: () => string, { perSecond = 20_000, ms = 1000 } = {}) => {
    for (let passed = 0; passed < ms; passed += 10) {
      for (let count = 0; count < perSecond / 100; count++) hot.touch(next())
      await clock.advance(10)
    }
  }
  return { clock, hot, told, read }
}

function uniform(keys: number, clock: HandClock): () => string {
  return () => `product:${Math.floor(clock.random() * keys)}`
}

function zipf(keys: number, clock: HandClock): () => string {
  const sums = new Float64Array(keys)
  let sum = 0
  for (let key = 0; key < keys; key++) {
    sum += 1 / (key + 1)
    sums[key] = sum
  }
  return () => {
    const wanted = clock.random() * sum
    let from = 0
    let to = keys - 1
    while (from < to) {
      const middle = (from + to) >> 1
      if ((sums[middle] ?? 0) < wanted) from = middle + 1
      else to = middle
    }
    return `product:${from}`
  }
}

describe('who is hot', () => {
  test.each([1000, 20_000, 200_000])(
    `the top ten of a Zipf trace at %d reads a second (SEED=${seed})`,
    async (perSecond) => {
      const { clock, hot, read } = someHotKeys()
      await read(zipf(50_000, clock), { perSecond, ms: perSecond < 5000 ? 8000 : 3000 })
      const found = hot.hottest(10).map(({ key }) => Number(key.slice('product:'.length)))
      expect(found).toHaveLength(10)
      // At a thousand a second the tenth and the eleventh are 9 reads a second and 8: nobody can tell them apart so soon.
      const right = found.filter((rank) => rank < (perSecond < 5000 ? 15 : 10))
      expect(right.length, `SEED=${seed}`).toBeGreaterThanOrEqual(9)
      expect(found[0]).toBe(0)
    },
  )

  test('estimates are near the truth, whatever part of the reads is looked at', async () => {
    for (const samplesPerSecond of [2000, 10_000, 1_000_000]) {
      const { clock, hot, read } = someHotKeys({ samplesPerSecond })
      const other = uniform(10_000, clock)
      await read(() => (clock.random() < 0.2 ? 'hot' : other()), { perSecond: 50_000, ms: 4000 })
      const [first] = hot.hottest(1)
      expect(first?.key).toBe('hot')
      expect(Math.abs((first?.share ?? 0) - 0.2), `SEED=${seed}`).toBeLessThan(0.03)
      expect(Math.abs((first?.perSecond ?? 0) - 10_000), `SEED=${seed}`).toBeLessThan(1500)
    }
  })

  test.each([
    { keys: 150, perSecond: 20_000 },
    { keys: 1000, perSecond: 100_000 },
    { keys: 1_000_000, perSecond: 100_000 },
  ])(`nobody in a uniform trace over $keys keys (SEED=${seed})`, async ({ keys, perSecond }) => {
    const { clock, hot, told, read } = someHotKeys()
    await read(uniform(keys, clock), { perSecond, ms: 5000 })
    expect(told, `SEED=${seed}`).toEqual([])
    expect(hot.isHot('product:0')).toBe(false)
  })

  test('nobody where little is read, however large the share', async () => {
    const { told, read } = someHotKeys()
    await read(() => 'only', { perSecond: 90, ms: 5000 })
    expect(told).toEqual([])
  })

  test('a flash sale is found within a second, and told once', async () => {
    const { clock, hot, told, read } = someHotKeys()
    const other = uniform(10_000, clock)
    await read(other, { ms: 10_000 })
    expect(told).toEqual([])
    await read(() => (clock.random() < 0.05 ? 'sale' : other()))
    expect(told).toEqual(['hot sale'])
    expect(hot.isHot('sale')).toBe(true)
    expect(hot.isHot('product:1')).toBe(false)
    await read(() => (clock.random() < 0.05 ? 'sale' : other()), { ms: 10_000 })
    expect(told).toEqual(['hot sale'])
  })

  test('a pattern in the reads does not hide a key', async () => {
    const { hot, read } = someHotKeys()
    let count = 0
    // Every 16th read, exactly; at this traffic one read in 10 is looked at on average.
    await read(() => (count++ % 16 === 0 ? 'periodic' : `product:${count % 997}`), { perSecond: 100_000, ms: 3000 })
    expect(hot.isHot('periodic')).toBe(true)
    expect(Math.abs((hot.hottest(1)[0]?.share ?? 0) - 1 / 16)).toBeLessThan(0.015)
  })
})

describe('what is over', () => {
  test('a key cools when others are read instead, and yesterday is forgotten', async () => {
    const { clock, hot, told, read } = someHotKeys()
    const other = uniform(10_000, clock)
    await read(() => (clock.random() < 0.1 ? 'sale' : other()), { ms: 3000 })
    await read(other, { ms: 10_000 })
    expect(told).toEqual(['hot sale', 'cooled sale'])
    await clock.advance(86_400_000)
    // Yesterday every second read was looked at, on average.
    for (let count = 0; count < 10; count++) hot.touch('today')
    expect(hot.hottest().map(({ key }) => key)).toEqual(['today'])
  })

  test('a key cools by time alone, when nobody reads any more', async () => {
    const { clock, hot, told, read } = someHotKeys()
    await read(() => 'only')
    expect(told).toEqual(['hot only'])
    await clock.advance(20_000)
    expect(told).toEqual(['hot only', 'cooled only'])
    expect(hot.isHot('only')).toBe(false)
    expect(clock.waiting).toBe(0)
  })

  test('a key at the edge does not flicker', async () => {
    const { clock, told, read } = someHotKeys()
    const other = uniform(10_000, clock)
    await read(() => (clock.random() < 0.0102 ? 'edge' : other()), { ms: 30_000 })
    expect(told.length, `SEED=${seed}`).toBeLessThanOrEqual(1)
  })

  test('a listener that went is not called, and nothing is left after close', async () => {
    const { clock, hot, read } = someHotKeys()
    const heard: HotKey[] = []
    const stop = hot.on('hot', (key) => heard.push(key))
    stop()
    await read(() => 'only')
    expect(heard).toEqual([])
    hot.close()
    expect(clock.waiting).toBe(0)
    await read(() => 'only')
    expect([hot.hottest(), hot.isHot('only'), clock.waiting]).toEqual([[], false, 0])
  })
})

describe('memory', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const taken = () => {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }

  test('a million distinct keys take no more of it than a thousand', () => {
    const { hot } = someHotKeys()
    const readMany = (from: number, to: number) => {
      for (let count = from; count < to; count++) hot.touch(`product:${count}`)
    }
    readMany(0, 1000)
    const before = taken()
    readMany(1000, 1_000_000)
    expect(taken() - before).toBeLessThan(64 * 1024)
    expect(hot.hottest()).toHaveLength(32)
  })

  test('a key does not keep alive the text it was cut from', () => {
    const { hot } = someHotKeys()
    const before = taken()
    for (let count = 0; count < 50; count++) hot.touch(`${'x'.repeat(1_000_000)}${count}`.slice(-100))
    // The engine itself keeps the last one alive for a while.
    expect(taken() - before).toBeLessThan(5_000_000)
    expect(hot.hottest()).toHaveLength(32)
  })
})

describe('long keys', () => {
  const long = (end: string) => `${'k'.repeat(500)}${end}`

  test('are counted apart, and cut where they are told', async () => {
    const { hot, read } = someHotKeys()
    let count = 0
    await read(() => long(count++ % 3 === 0 ? 'a' : 'b'))
    expect([hot.isHot(long('a')), hot.isHot(long('b')), hot.isHot(long('c'))]).toEqual([true, true, false])
    const told = hot.hottest()
    expect(told.map(({ key }) => key.length)).toEqual([256, 256])
    expect(Math.round((told[0]?.share ?? 0) * 3)).toBe(2)
  })

  test('are no use to who starts next', async () => {
    const { hot, read } = someHotKeys()
    let count = 0
    await read(() => (count++ % 2 === 0 ? long('a') : 'short'))
    expect(hot.list().map(({ key }) => key)).toEqual(['short'])
  })
})

describe('lists for who starts next', () => {
  test('hottest first, no longer than the top', async () => {
    const { clock, hot, read } = someHotKeys({ top: 3 })
    await read(zipf(100, clock), { ms: 3000 })
    expect(hot.list().map(({ key }) => key)).toEqual(['product:0', 'product:1', 'product:2'])
    expect(hot.hottest(100)).toHaveLength(3)
  })

  test('lists of many processes become one, added up by key', () => {
    const { hot } = someHotKeys({ top: 3 })
    const lists = [
      [
        { key: 'a', score: 5 },
        { key: 'b', score: 4 },
      ],
      [
        { key: 'b', score: 4 },
        { key: 'c', score: 1 },
        { key: 'd', score: 2 },
      ],
      [
        { key: 'e', score: Number.NaN },
        { key: 'f', score: Number.POSITIVE_INFINITY },
        { key: 'g', score: -1 },
      ],
    ]
    expect(hot.merge(lists)).toEqual([
      { key: 'b', score: 8 },
      { key: 'a', score: 5 },
      { key: 'd', score: 2 },
    ])
    expect(hot.hottest()).toEqual([])
  })
})

test.each([
  [{ top: 0 }, /top of hot keys is 0/],
  [{ top: 1.5 }, /top of hot keys/],
  [{ windowMs: Number.NaN }, /windowMs of hot keys/],
  [{ samplesPerSecond: 0 }, /samplesPerSecond of hot keys/],
  [{ hotShare: 2 }, /hotShare of hot keys/],
  [{ hotPerSecond: -1 }, /hotPerSecond of hot keys/],
])('refuses %o', (options, message) => {
  expect(() => someHotKeys(options)).toThrow(message)
})
