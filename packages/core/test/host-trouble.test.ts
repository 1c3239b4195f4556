import { describe, expect, test } from 'vitest'
import type { HostFacts, TroubleSeen } from '../src/index.ts'
import { judgeTrouble } from '../src/index.ts'

const gb = 1024 ** 3
const good: HostFacts = {
  kernel: '6.1.0',
  boot: 'b',
  cores: 4,
  memoryBytes: 8 * gb,
  limits: { memoryBytes: null, cores: null },
  swap: null,
  disk: { totalBytes: 100 * gb, freeBytes: 50 * gb, readOnly: false },
  overcommit: 1,
  hugePages: 'madvise',
  somaxconn: 4096,
  openFiles: 65_536,
  packages: [],
  wallNow: 10_000,
  clockJumpMs: 3,
  usage: { cpu: 0.1, memoryFreeBytes: 4 * gb, memoryLeftBytes: 4 * gb },
}
/** One look after the other, a minute apart: what is told of at each. */
function told(...looks: readonly (Partial<HostFacts> & { offMs?: number })[]): string[][] {
  let seen: TroubleSeen | undefined
  return looks.map(({ offMs = 0, ...facts }, index) => {
    seen = judgeTrouble({ ...good, ...facts }, seen, { now: index * 60_000, offMs })
    return seen.troubles.map(({ about }) => about)
  })
}
const free = (freeBytes: number, totalBytes = 100 * gb) => ({ disk: { totalBytes, freeBytes, readOnly: false } })
const left = (memoryLeftBytes: number) => ({ usage: { ...good.usage, memoryLeftBytes } })

describe('what goes wrong with a machine', () => {
  test('is nothing where all is well, or where nobody can say', () => {
    const mute = { disk: null, memoryBytes: null, usage: { cpu: null, memoryFreeBytes: null } }
    expect(told({}, mute)).toEqual([[], []])
  })

  test('a disk that is nearly full is told of until there is clearly room again', () => {
    expect(told(free(4 * gb), free(5.5 * gb), free(7 * gb), free(5.5 * gb))).toEqual([
      ['disk nearly full'],
      ['disk nearly full'],
      [],
      [],
    ])
  })

  test('a disk that is read-only is that, however full it is', () => {
    expect(told({ disk: { totalBytes: gb, freeBytes: 0, readOnly: true } })).toEqual([['disk read-only']])
  })

  test('memory is what its control group leaves, and swings around its bound without being told of each time', () => {
    const limits = { limits: { memoryBytes: 2 * gb, cores: null } }
    const told120 = told(
      { ...limits, ...left(0.09 * gb) },
      { ...limits, ...left(0.11 * gb) },
      { ...limits, ...left(0.2 * gb) },
    )
    expect(told120).toEqual([['memory'], ['memory'], []])
    const { usage, ...older } = good
    const { memoryLeftBytes: _, ...before } = usage
    expect(told({ ...older, usage: { ...before, memoryFreeBytes: 0.1 * gb } })).toEqual([['memory']])
  })

  test('a clock that was set is told of for ten minutes, and once', () => {
    const looks = Array.from({ length: 12 }, (_, index) => ({ clockJumpMs: index < 1 ? 0 : 90_000 }))
    expect(told(...looks).map((list) => list.length)).toEqual([0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0])
  })

  test('an agent that was started anew has set no clock', () => {
    expect(told({ clockJumpMs: 90_000 }, { clockJumpMs: 0 })).toEqual([[], []])
  })

  test('a clock that is off is told of until it is right', () => {
    expect(told({ offMs: 1500 }, { offMs: 900 }, { offMs: 100 })).toEqual([['clock'], ['clock'], []])
  })
})
