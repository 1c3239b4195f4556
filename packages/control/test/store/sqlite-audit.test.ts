import { statSync } from 'node:fs'
import Database from 'libsql'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AuditEntry } from '../../src/store/audit-log.ts'
import { SqliteAudit } from '../../src/store/sqlite-audit.ts'
import { temporaryHome } from './temporary-home.ts'

const day = 86_400_000
let { home, clean } = { home: temporaryHome().home, clean: () => {} }
let log: SqliteAudit
beforeEach(() => {
  ;({ home, clean } = temporaryHome())
  log = new SqliteAudit({ home })
})
afterEach(() => {
  log.close()
  clean()
})

const anEntry = (parts: Partial<AuditEntry> = {}): AuditEntry => ({
  at: 1_750_000_000_000,
  who: 'ada',
  kind: 'user',
  from: '127.0.0.1',
  what: 'POST /api/v1/deployments/:name/wanted',
  on: 'shop',
  outcome: 'done',
  code: null,
  asked: { wanted: 'down' },
  before: null,
  after: null,
  unwritten: 0,
  ...parts,
})

const meddle = (sql: string): void => {
  const database = new Database(home.audit)
  database.exec(sql)
  database.close()
}

describe('the chain', () => {
  beforeEach(() => {
    for (let i = 0; i < 5; i++) log.append(anEntry({ on: `shop-${i}` }))
  })

  test('is whole, also after it was opened again', async () => {
    const { hash } = log.append(anEntry())
    log.close()
    log = new SqliteAudit({ home })
    expect(await log.verify()).toMatchObject({ whole: true, records: 6, last: { seq: 6, hash } })
    expect(log.append(anEntry())).toMatchObject({ seq: 7, previous: hash })
  })

  test.each([
    ['a word', `UPDATE audit SET body = replace(body, 'shop-2', 'shop-9') WHERE seq = 3`, 3],
    ['a time', 'UPDATE audit SET at = at + 1 WHERE seq = 2', 2],
    ['a hash', `UPDATE audit SET hash = 'aa' WHERE seq = 4`, 4],
    ['one taken out', 'DELETE FROM audit WHERE seq = 2', 2],
    ['the first taken out', 'DELETE FROM audit WHERE seq = 1', 1],
    ['the last cut off', 'DELETE FROM audit WHERE seq = 5', 5],
    ['all taken out', 'DELETE FROM audit', 1],
    [
      'one put in',
      `INSERT INTO audit SELECT 6, at, body, hash, 'aa' FROM audit WHERE seq = 5; UPDATE audit_ends SET lastSeq = 6`,
      6,
    ],
    [
      'two exchanged',
      'UPDATE audit SET seq = -1 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = -1',
      2,
    ],
  ])('breaks with %s', async (_what, sql, at) => {
    meddle(sql)
    const verdict = await log.verify()
    expect(verdict.whole).toBe(false)
    expect(verdict.because).toContain(`record ${at} is not as it was written, or is missing`)
  })
})

test('the oldest go after their number and their time, and the rest is whole', async () => {
  log.close()
  log = new SqliteAudit({ home, keep: { records: 10, ms: 30 * day } })
  for (let i = 0; i < 25; i++) log.append(anEntry({ at: i * day }))
  expect(log.latest({ limit: 100 }).map(({ seq }) => seq)).toEqual([25, 24, 23, 22, 21, 20, 19, 18, 17, 16])
  expect(await log.verify()).toMatchObject({ whole: true, records: 10 })
  log.append(anEntry({ at: 50 * day }))
  expect(log.latest({ limit: 100 }).map(({ seq }) => seq)).toEqual([26, 25, 24, 23, 22, 21])
  expect(await log.verify()).toMatchObject({ whole: true, records: 6 })
  meddle('DELETE FROM audit WHERE seq = 21')
  expect((await log.verify()).whole).toBe(false)
})

test('is read page by page, the newest first', () => {
  for (let i = 0; i < 5; i++) log.append(anEntry())
  expect(log.latest({ limit: 2 }).map(({ seq }) => seq)).toEqual([5, 4])
  expect(log.latest({ limit: 2, before: 4 }).map(({ seq }) => seq)).toEqual([3, 2])
})

test('a copy is whole, for its owner alone, and goes on where it ends', async () => {
  const { hash } = log.append(anEntry())
  const copy = `${home.audit}.copy`
  log.copyTo(copy)
  log.append(anEntry({ on: 'later' }))
  expect(statSync(copy).mode & 0o777).toBe(0o600)
  const other = new SqliteAudit({ home: { audit: copy } })
  expect(await other.verify()).toMatchObject({ whole: true, records: 1, last: { seq: 1, hash } })
  expect(other.append(anEntry())).toMatchObject({ seq: 2, previous: hash })
  other.close()
})
