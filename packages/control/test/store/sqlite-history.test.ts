import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DatabaseFile } from '../../src/store/database.ts'
import type { Home } from '../../src/store/home.ts'
import { SqliteHistory } from '../../src/store/sqlite-history.ts'
import { anEvent, codeOf, describeHistory } from './store.contract.ts'
import { temporaryHome } from './temporary-home.ts'

describeHistory('sqlite', () => {
  const { home, clean } = temporaryHome()
  return { open: (eventsMax) => new SqliteHistory({ home, ...(eventsMax === undefined ? {} : { eventsMax }) }), clean }
})

describe('the file of the history', () => {
  let home: Home
  let clean: () => void
  beforeEach(() => ({ home, clean } = temporaryHome()) && undefined)
  afterEach(() => clean())

  test('goes on counting when the next process opens it, also after everything old was dropped', () => {
    const first = new SqliteHistory({ home, eventsMax: 2 })
    const last = Array.from({ length: 5 }, () => first.append(anEvent())).at(-1)
    first.close()
    const second = new SqliteHistory({ home, eventsMax: 2 })
    const next = second.append(anEvent())
    expect(next.seq).toBe((last?.seq ?? 0) + 1)
    expect(second.latest({})).toEqual([last, next])
    second.close()
  })

  test('an event of a kind that a later version added is still read', () => {
    new SqliteHistory({ home }).close()
    const file = new DatabaseFile({ path: home.history, synchronous: 'NORMAL', version: 3, schema: '' })
    file.change("INSERT INTO events VALUES (7, 1, 1, 'shop', 'eclipse', 'shop', 'the moon', NULL, 'sky', NULL)")
    file.close()
    const history = new SqliteHistory({ home })
    expect(history.latest({}).map((event) => event.because)).toEqual(['the moon'])
    history.close()
  })

  test('a file of version 1 keeps its events and gets the tables of the ledger', () => {
    const former = new DatabaseFile({ path: home.history, synchronous: 'NORMAL', version: 1, schema: formerSchema })
    former.change("INSERT INTO events VALUES (41, 1, 7, 'shop', 'turn', 'shop', 'as specified', NULL, 'controller')")
    former.close()
    const history = new SqliteHistory({ home })
    expect(history.latest({})).toMatchObject([{ seq: 41, because: 'as specified' }])
    expect(history.append(anEvent()).seq).toBe(42)
    expect(history.ledger.incidents('shop', 0)).toEqual([])
    history.close()
    new SqliteHistory({ home }).close()
  })

  test('an older Holdfast refuses the file instead of misreading it', () => {
    new SqliteHistory({ home }).close()
    const open = () => new DatabaseFile({ path: home.history, synchronous: 'NORMAL', version: 1, schema: formerSchema })
    expect(codeOf(open)).toBe('HOST_HOME_NEWER')
  })
})

/** As version 1 made it, and as it lies on the disks of people. */
const formerSchema = `
  CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch INTEGER NOT NULL,
    at INTEGER NOT NULL,
    deployment TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    because TEXT NOT NULL,
    cause TEXT,
    actor TEXT NOT NULL
  ) STRICT;
  CREATE INDEX events_of_deployment ON events (deployment, seq);
`
