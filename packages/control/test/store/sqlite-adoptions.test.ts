import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DatabaseFile } from '../../src/store/database.ts'
import { SqliteStore } from '../../src/store/sqlite-store.ts'
import { describeAdoptions } from './store.contract.ts'
import { temporaryHome } from './temporary-home.ts'

describeAdoptions('sqlite', () => {
  const { home, clean } = temporaryHome()
  return {
    open: () => new SqliteStore({ home, bootId: 'boot' }),
    clean,
    kept: () => readFileSync(home.state, 'latin1'),
  }
})

test('a home from before there were adoptions gets the table', () => {
  const { home, clean } = temporaryHome()
  const open = () => new SqliteStore({ home, bootId: 'boot' })
  open().close()
  const file = new DatabaseFile({ path: home.state, synchronous: 'FULL', version: 3, schema: '' })
  file.change('DROP TABLE adoptions')
  file.change('PRAGMA user_version = 1')
  file.close()
  const store = open()
  expect(store.adoptions.names()).toEqual([])
  store.close()
  clean()
})
