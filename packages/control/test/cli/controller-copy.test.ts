import { copyFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import type { Context } from '../../src/cli/context.ts'
import { backupController, restoreController } from '../../src/cli/controller-copy.ts'
import { Access } from '../../src/store/access.ts'
import type { AuditEntry } from '../../src/store/audit-log.ts'
import type { Home } from '../../src/store/home.ts'
import { openStore } from '../../src/store/open-store.ts'
import { SqliteAudit } from '../../src/store/sqlite-audit.ts'
import { temporaryHome } from '../store/temporary-home.ts'

const cleaning: (() => void)[] = []
afterEach(() => {
  for (const clean of cleaning.splice(0)) clean()
})

const ada = { name: 'ada', hash: 'x', grants: [{ role: 'viewer', deployment: null }], createdAt: 0 } as const
const entry: AuditEntry = {
  at: 1_750_000_000_000,
  who: 'ada',
  kind: 'user',
  from: '127.0.0.1',
  what: 'POST /api/v1/users',
  on: '',
  outcome: 'done',
  code: null,
  asked: null,
  before: null,
  after: null,
  unwritten: 0,
}

function aPlace(): { home: Home; said: string[]; context: Context } {
  const { home, clean } = temporaryHome()
  cleaning.push(clean)
  const said: string[] = []
  const hear = (line: string): void => void said.push(line)
  return { home, said, context: { home, out: hear, say: hear, isInteractive: false, isRead: () => true } }
}

async function lostPlace(): Promise<{ home: Home; copy: string; hash: string }> {
  const { home, said, context } = aPlace()
  const store = await openStore(home)
  await new Access(store.settings).addUser(ada)
  store.close()
  const log = new SqliteAudit({ home })
  const { hash } = log.append(entry)
  log.close()
  await backupController(context, undefined, undefined)
  return { home, copy: said[0] ?? '', hash }
}

test('a copy of a controller brings its users, and who asked for what', async () => {
  const lost = await lostPlace()
  const { home, context } = aPlace()
  copyFileSync(lost.home.key, home.key)
  await restoreController(context, undefined, lost.copy)
  const store = await openStore(home)
  expect(new Access(store.settings).user('ada')).toEqual(ada)
  store.close()
  const log = new SqliteAudit({ home })
  expect(await log.verify()).toMatchObject({ whole: true, records: 1, last: { hash: lost.hash } })
  expect(log.append(entry)).toMatchObject({ seq: 2, previous: lost.hash })
  log.close()
})

test('a log that a home has begun itself is not replaced', async () => {
  const lost = await lostPlace()
  const { home, said, context } = aPlace()
  copyFileSync(lost.home.key, home.key)
  const log = new SqliteAudit({ home })
  log.append({ ...entry, on: 'here' })
  log.close()
  await restoreController(context, undefined, lost.copy)
  expect(said[0]).toContain('was begun already and goes on; what was before is in')
  const after = new SqliteAudit({ home })
  expect(after.latest({ limit: 10 }).map(({ on }) => on)).toEqual(['here'])
  after.close()
})
