import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytes, duration, formatBytes, formatDuration, ratio, yesNo } from '../src/index.ts'

describe('a duration', () => {
  test('is read in every unit', () => {
    expect(['1500ms', '5s', '2m', '24h', '7d', '0s', '1.5s'].map((text) => duration.parse(text))).toEqual([
      1500, 5000, 120_000, 86_400_000, 604_800_000, 0, 1500,
    ])
  })

  test.each(['5 minutes', '5', '5S', '-5s', '', 's', '5 s', '1e3s', '5sec', 5, null])('%j is refused', (value) => {
    expect(duration.safeParse(value).success).toBe(false)
  })

  test('what is refused is told how to write it', () => {
    expect(duration.safeParse('5 minutes').error?.issues[0]?.message).toBe(
      '"5 minutes" is not a duration: write 500ms, 5s, 2m, 24h or 7d',
    )
  })

  test('in a larger unit it is as many of the smaller', () => {
    fc.assert(
      fc.property(fc.nat(100_000), (count) => {
        expect(duration.parse(`${count}s`)).toBe(duration.parse(`${count * 1000}ms`))
        expect(duration.parse(`${count}m`)).toBe(duration.parse(`${count * 60}s`))
        expect(duration.parse(`${count}h`)).toBe(duration.parse(`${count * 60}m`))
        expect(duration.parse(`${count}d`)).toBe(duration.parse(`${count * 24}h`))
      }),
    )
  })

  test('is shown as a person says it', () => {
    expect([0, 812, 2400, 2000, 119_000, 180_000, 7_200_000, 2_592_000_000].map(formatDuration)).toEqual([
      '0 ms',
      '812 ms',
      '2.4 s',
      '2 s',
      '119 s',
      '3 min',
      '2 h',
      '30 days',
    ])
  })
})

describe('a size', () => {
  test('counts in 1024s, as the engine does; a bare number is bytes', () => {
    expect(['512kb', '256mb', '2gb', '1tb', '7b', '1.5kb', '256MB', 42].map((value) => bytes.parse(value))).toEqual([
      524_288,
      268_435_456,
      2_147_483_648,
      1024 ** 4,
      7,
      1536,
      268_435_456,
      42,
    ])
  })

  test.each(['256 mb', '256m', 'mb', '-1mb', '', -1, 1.5, true])('%j is refused', (value) => {
    expect(bytes.safeParse(value).success).toBe(false)
  })

  test('is shown as a person says it', () => {
    expect([0, 1023, 1024, 1_572_864, 268_435_456, 3 * 1024 ** 3].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1 KB',
      '1.5 MB',
      '256 MB',
      '3 GB',
    ])
  })

  test('whole megabytes are shown and read back as they were', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1023 }), (count) => {
        expect(bytes.parse(formatBytes(count * 1024 ** 2).replace(' ', ''))).toBe(count * 1024 ** 2)
      }),
    )
  })
})

describe('a share', () => {
  test('is a percentage', () => {
    expect(['70%', '0%', '100%', '12.5%'].map((text) => ratio.parse(text))).toEqual([0.7, 0, 1, 0.125])
  })

  test.each(['0.7', '101%', '70', '-1%', '%', 0.7])('%j is refused', (value) => {
    expect(ratio.safeParse(value).success).toBe(false)
  })
})

test('yes and no are words and values', () => {
  expect(['yes', 'no', true, false].map((value) => yesNo.parse(value))).toEqual([true, false, true, false])
  expect(yesNo.safeParse('maybe').success).toBe(false)
})
