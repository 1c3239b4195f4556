import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BackupListed } from '../../src/index.ts'
import { isDue, listed, outlived } from '../../src/index.ts'
import { aManifest } from './a-manifest.ts'

const aBackup = (id: string, finishedAt: number | null, state: BackupListed['state'] = 'verified'): BackupListed => ({
  id,
  path: `/backups/${id}`,
  state,
  because: '',
  finishedAt,
  bytes: 1,
  keys: 1,
  engine: 'redis 7.0.15',
})

const goes = (all: readonly BackupListed[], keep: number): string[] => outlived(all, keep).map(({ id }) => id)

describe('of several backups', () => {
  test('the newest stay, as many as wished', () => {
    expect(goes([aBackup('a', 1), aBackup('b', 2), aBackup('c', 3), aBackup('d', 4)], 2)).toEqual(['b', 'a'])
  })

  test('one that is broken is no reason for a good one to go', () => {
    expect(goes([aBackup('good', 1), aBackup('x', 2, 'broken'), aBackup('y', 3, 'unverified')], 1)).toEqual([])
  })

  test('nothing goes while fewer were verified than wished', () => {
    expect(goes([aBackup('a', 1), aBackup('x', 0, 'unverified')], 2)).toEqual([])
  })

  test('the law: at least `keep` verified ones stay, or all there are, and they are the newest', () => {
    const backups = fc
      .array(fc.tuple(fc.nat(1000), fc.constantFrom<BackupListed['state']>('verified', 'unverified', 'broken')))
      .map((all) => all.map(([at, state], index) => aBackup(`b${index}`, at, state)))
    fc.assert(
      fc.property(backups, fc.integer({ min: 1, max: 5 }), (all, keep) => {
        const gone = new Set(goes(all, keep))
        const verified = all.filter(({ state }) => state === 'verified')
        const stay = verified.filter(({ id }) => !gone.has(id))
        expect(stay.length).toBe(Math.min(keep, verified.length))
        const oldest = Math.min(...stay.map(({ finishedAt }) => finishedAt ?? 0))
        for (const { id, finishedAt } of all) if (gone.has(id)) expect(finishedAt).toBeLessThanOrEqual(oldest)
      }),
    )
  })
})

describe('a backup in a list', () => {
  const found = { id: 'b', path: '/backups/b', manifest: aManifest(), verdict: null, damage: null }

  test('is unverified until it was loaded, and says how much it holds', () => {
    expect(listed(found)).toMatchObject({ state: 'unverified', keys: 300, bytes: 3000, engine: 'redis 7.0.15' })
  })

  test('is what its trial said, unless a file of it is no longer as it was', () => {
    const verdict = {
      verdict: 'verified',
      at: 1,
      because: 'all is well',
      engine: { flavor: 'redis', version: '7' },
      seconds: 1,
    } as const
    expect(listed({ ...found, verdict })).toMatchObject({ state: 'verified', because: 'all is well' })
    expect(listed({ ...found, verdict, damage: 'shard-1.rdb is missing' })).toMatchObject({ state: 'broken' })
  })

  test('without a manifest is broken, and its figures are not known', () => {
    const none = listed({ ...found, manifest: null, damage: 'there is no manifest' })
    expect(none).toMatchObject({ state: 'broken', because: 'there is no manifest', keys: null, finishedAt: null })
  })
})

describe('the next backup is due', () => {
  const day = 86_400_000
  const due = (change: Partial<Parameters<typeof isDue>[0]>) =>
    isDue({ everyMs: day, lastAt: null, firstReadyAt: null, triedAt: null, now: 100 * day, ...change })

  test('at once where there is none, and then when its time has come', () => {
    expect(due({})).toBe(true)
    expect(due({ lastAt: 99.5 * day })).toBe(false)
    expect(due({ lastAt: 99 * day })).toBe(true)
  })

  test('not at birth: an interval after there first was something to back up', () => {
    expect(due({ firstReadyAt: 99.5 * day })).toBe(false)
    expect(due({ firstReadyAt: 99 * day })).toBe(true)
    expect(due({ firstReadyAt: 10 * day, lastAt: 99.5 * day })).toBe(false)
  })

  test('an hour after one that failed, or sooner where they come often', () => {
    expect(due({ triedAt: 100 * day - 3_500_000 })).toBe(false)
    expect(due({ triedAt: 100 * day - 3_700_000 })).toBe(true)
    expect(due({ everyMs: 600_000, triedAt: 100 * day - 61_000 })).toBe(true)
    expect(due({ everyMs: 10_000, triedAt: 100 * day - 11_000 })).toBe(true)
  })
})
