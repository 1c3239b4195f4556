import { describe, expect, test } from 'vitest'
import { AckedWrites } from '../../src/demo/acked-writes.ts'

/** Writes that were acknowledged at 0 and are under way to be read. */
function reading(...keys: string[]): AckedWrites {
  const writes = new AckedWrites()
  for (const key of keys) writes.acknowledged(key, 0)
  expect(writes.takeDue(1000, 10)).toEqual(keys)
  return writes
}

describe('an acknowledged write', () => {
  test('is read a moment later, and not before', () => {
    const writes = new AckedWrites()
    writes.acknowledged('a', 0)
    expect(writes.takeDue(999, 10)).toEqual([])
    expect(writes.takeDue(1000, 10)).toEqual(['a'])
    expect(writes.takeDue(1000, 10)).toEqual([])
  })

  test('counts as read back once, however often it is found', () => {
    const writes = reading('a')
    writes.found('a', 1000)
    expect(writes.takeDue(2000, 10)).toEqual(['a'])
    writes.found('a', 2000)
    expect(writes.figures).toMatchObject({ acked: 1, readBack: 1, missing: 0 })
  })

  test('is missing when it is not there a second time either, and told with the time of its acknowledgement', () => {
    const writes = reading('a', 'b')
    writes.missed('a', 1000)
    writes.found('b', 1000)
    expect(writes.figures).toMatchObject({ missing: 0, lost: [] })
    expect(writes.takeDue(2000, 1)).toEqual(['a'])
    writes.missed('a', 2000)
    expect(writes.figures).toMatchObject({ acked: 2, readBack: 1, missing: 1, lost: [{ key: 'a', ackedAt: 0 }] })
    expect(writes.takeDue(9000, 10)).toEqual(['b'])
  })

  test('that is there after all was never missing', () => {
    const writes = reading('a')
    writes.missed('a', 1000)
    writes.takeDue(2000, 1)
    writes.found('a', 2000)
    writes.takeDue(3000, 1)
    writes.missed('a', 3000)
    expect(writes.figures.missing).toBe(0)
  })

  test('that was found once and is gone later is missing, too', () => {
    const writes = reading('a')
    writes.found('a', 1000)
    for (const now of [2000, 3000]) {
      expect(writes.takeDue(now, 1)).toEqual(['a'])
      writes.missed('a', now)
    }
    expect(writes.figures).toMatchObject({ readBack: 1, missing: 1 })
  })

  test('is neither found nor missing while nobody answers', () => {
    const writes = reading('a')
    for (let now = 1000; now < 20_000; now += 1000) {
      writes.unread('a', now)
      expect(writes.takeDue(now + 1000, 1)).toEqual(['a'])
    }
    expect(writes.figures).toMatchObject({ readBack: 0, missing: 0 })
  })

  test('is followed for ten minutes and then left to be deleted', () => {
    const writes = reading('a')
    expect(writes.found('a', 1000)).toBe(false)
    writes.takeDue(600_001, 1)
    expect(writes.found('a', 600_001)).toBe(true)
    expect(writes.takeDue(900_000, 1)).toEqual([])
  })
})

test('the newest twenty that are missing are named', () => {
  const keys = Array.from({ length: 25 }, (_, index) => `k${index}`)
  const writes = new AckedWrites()
  for (const key of keys) writes.acknowledged(key, 0)
  for (const now of [1000, 2000]) for (const key of writes.takeDue(now, 25)) writes.missed(key, now)
  const { missing, lost } = writes.figures
  expect(missing).toBe(25)
  expect(lost.map(({ key }) => key)).toEqual(keys.toReversed().slice(0, 20))
})
