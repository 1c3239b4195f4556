import type { HourSum, Incident } from '@holdfast/core'
import { hourMs, hourOf, nothingGathered } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DatabaseFile } from '../../src/store/database.ts'
import type { Home } from '../../src/store/home.ts'
import { SqliteHistory } from '../../src/store/sqlite-history.ts'
import { ledgerTables, SqliteLedger } from '../../src/store/sqlite-ledger.ts'
import type { LedgerEntry } from '../../src/store/store.ts'
import { anIncident } from '../ledger/an-incident.ts'
import { codeOf } from './store.contract.ts'
import { temporaryHome } from './temporary-home.ts'

const now = hourOf(1_780_000_000_000)
const day = 24 * hourMs

const anEntry = (parts: Partial<LedgerEntry> = {}): LedgerEntry => ({
  gathering: nothingGathered('shop'),
  incidents: [],
  sums: [],
  now,
  ...parts,
})
const aSum = (parts: Partial<HourSum> = {}): HourSum => ({
  shard: 'shard-1',
  hour: now,
  observedMs: 1000,
  notWritableMs: 10,
  ...parts,
})
const endedAt = (at: number, parts: Partial<Incident> = {}) =>
  anIncident({ id: `shop-${at}`, beganAt: at - 300, endedAt: at, ...parts })

describe('the ledger in a file', () => {
  let home: Home
  let clean: () => void
  let history: SqliteHistory
  beforeEach(() => {
    ;({ home, clean } = temporaryHome())
    history = new SqliteHistory({ home })
  })
  afterEach(() => {
    history.close()
    clean()
  })

  /** As the next process finds it. */
  function reopened() {
    history.close()
    history = new SqliteHistory({ home })
    return history.ledger
  }

  test('knows nothing at first', () => {
    expect(history.ledger.gathering('shop')).toBeUndefined()
    expect(history.ledger.incidents('shop', 0)).toEqual([])
    expect(history.ledger.hours('shop', 0)).toEqual([])
  })

  test('gives back to the next process what was saved', () => {
    const incident = endedAt(now, { madeWorseBy: ['ü "quoted" \\ \n'] })
    const gathering = { ...nothingGathered('shop'), seq: 41, wasReady: true }
    history.ledger.save('shop', anEntry({ gathering, incidents: [incident], sums: [aSum(), aSum({ shard: null })] }))
    const ledger = reopened()
    expect(ledger.gathering('shop')).toEqual(gathering)
    expect(ledger.incidents('shop', 0)).toEqual([incident])
    expect(ledger.hours('shop', 0)).toEqual(expect.arrayContaining([aSum(), aSum({ shard: null })]))
  })

  test('an incident that goes on is replaced by how it ended', () => {
    const goesOn = anIncident({ id: 'shop-7', endedAt: null })
    history.ledger.save('shop', anEntry({ incidents: [goesOn] }))
    expect(history.ledger.incidents('shop', now + day)).toEqual([goesOn])
    history.ledger.save('shop', anEntry({ incidents: [{ ...goesOn, endedAt: now }] }))
    expect(history.ledger.incidents('shop', now)).toMatchObject([{ id: 'shop-7', endedAt: now }])
    expect(history.ledger.incidents('shop', now + 1)).toEqual([])
  })

  test('sums of an hour are added up, each shard for itself', () => {
    history.ledger.save('shop', anEntry({ sums: [aSum(), aSum({ shard: 'shard-2' })] }))
    history.ledger.save('shop', anEntry({ sums: [aSum({ observedMs: 500, notWritableMs: 0 })] }))
    expect(history.ledger.hours('shop', now)).toEqual(
      expect.arrayContaining([aSum({ observedMs: 1500 }), aSum({ shard: 'shard-2' })]),
    )
  })

  test('hours are told as far as they had not ended', () => {
    const hours = [now - hourMs, now].map((hour) => aSum({ hour }))
    history.ledger.save('shop', anEntry({ sums: hours }))
    expect(history.ledger.hours('shop', now - 1)).toEqual(hours)
    expect(history.ledger.hours('shop', now)).toEqual(hours.slice(1))
  })

  test('the newest incident comes first', () => {
    history.ledger.save('shop', anEntry({ incidents: [endedAt(now - 10), endedAt(now), endedAt(now - 5)] }))
    const ends = history.ledger.incidents('shop', 0).map((incident) => now - (incident.endedAt ?? 0))
    expect(ends).toEqual([0, 5, 10])
  })

  test('what ended more than a year ago goes, and what goes on stays', () => {
    const old = now - 367 * day
    const incidents = [endedAt(old), anIncident({ id: 'shop-1', beganAt: old, endedAt: null })]
    history.ledger.save('shop', anEntry({ incidents, sums: [aSum({ hour: old })], now: old }))
    expect(history.ledger.hours('shop', 0)).toHaveLength(1)
    history.ledger.save('shop', anEntry({ incidents: [endedAt(now)], sums: [aSum()] }))
    expect(history.ledger.incidents('shop', 0).map(({ id }) => id)).toEqual([`shop-${now}`, 'shop-1'])
    expect(history.ledger.hours('shop', 0)).toEqual([aSum()])
  })

  test('what flaps for days does not fill the disk', () => {
    const file = new DatabaseFile({
      path: `${home.history}.own`,
      synchronous: 'NORMAL',
      version: 1,
      schema: ledgerTables,
    })
    const ledger = new SqliteLedger(file, 3)
    for (let count = 0; count < 10; count++) {
      ledger.save('shop', anEntry({ incidents: [endedAt(now + count)] }))
    }
    expect(ledger.incidents('shop', 0).map((incident) => (incident.endedAt ?? 0) - now)).toEqual([9, 8, 7])
    file.close()
  })

  test('deployments are told apart, and one is forgotten alone', () => {
    history.ledger.save('shop', anEntry({ incidents: [endedAt(now)], sums: [aSum()] }))
    const other = endedAt(now, { deployment: 'other' })
    history.ledger.save('other', anEntry({ incidents: [other], sums: [aSum()] }))
    history.ledger.forget('shop')
    expect(history.ledger.incidents('shop', 0)).toEqual([])
    expect(history.ledger.hours('shop', 0)).toEqual([])
    expect(history.ledger.gathering('shop')).toBeUndefined()
    expect(history.ledger.incidents('other', 0)).toEqual([other])
    expect(history.ledger.hours('other', 0)).toEqual([aSum()])
  })

  test('a gathering of another format is not gone on with', () => {
    history.ledger.save('shop', anEntry())
    history.close()
    const file = new DatabaseFile({ path: home.history, synchronous: 'NORMAL', version: 3, schema: '' })
    file.change('UPDATE gatherings SET format = 99')
    file.close()
    history = new SqliteHistory({ home })
    expect(history.ledger.gathering('shop')).toBeUndefined()
  })

  test('what cannot be saved is saved not at all', () => {
    const broken = anIncident({ beganAt: 0.5 })
    expect(codeOf(() => history.ledger.save('shop', anEntry({ sums: [aSum()], incidents: [broken] })))).not.toBe(
      'no error',
    )
    expect(history.ledger.hours('shop', 0)).toEqual([])
    expect(history.ledger.gathering('shop')).toBeUndefined()
  })
})
