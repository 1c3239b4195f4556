import { readFileSync } from 'node:fs'
import type { Adoption } from '@holdfast/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DatabaseFile } from '../../src/store/database.ts'
import type { Home } from '../../src/store/home.ts'
import { SqliteStore } from '../../src/store/sqlite-store.ts'
import { codeOf } from './store.contract.ts'
import { temporaryHome } from './temporary-home.ts'

let home: Home
let clean: () => void
beforeEach(() => ({ home, clean } = temporaryHome()) && undefined)
afterEach(() => clean())

const open = () => new SqliteStore({ home, bootId: 'boot' })

const theirs: Adoption = {
  apiVersion: 1,
  name: 'theirs',
  topology: 'standalone',
  masterName: null,
  seeds: [{ address: '10.0.0.7', port: 6379 }],
  user: 'watcher',
  sentinelUser: '',
  nodes: [],
  sentinels: [],
  at: 1,
  by: 'cli',
  secrets: { engine: 'a-password-that-is-sealed', sentinel: '' },
}

test('an adoption outlives the controller, its password sealed, and is no document', () => {
  const store = open()
  store.adoptions.add(theirs)
  store.close()
  expect(readFileSync(home.state, 'latin1')).not.toContain(theirs.secrets.engine)
  const again = open()
  expect(again.adoptions.load('theirs')).toEqual(theirs)
  expect(again.names()).toEqual([])
  expect(again.load('theirs')).toBeUndefined()
  again.close()
})

test('a name is taken once, and free again when it is forgotten', () => {
  const store = open()
  store.adoptions.add(theirs)
  expect(codeOf(() => store.adoptions.add(theirs))).toBe('REFUSED_UNSAFE')
  const nodes = [{ id: '10.0.0.7:6379', shard: 'shard-1', host: 'elsewhere', address: '10.0.0.7', port: 6379 }]
  store.adoptions.relocate({ ...theirs, nodes })
  expect(store.adoptions.load('theirs')).toEqual({ ...theirs, nodes })
  store.adoptions.remove('theirs')
  // One that was forgotten while it was looked at does not come back.
  store.adoptions.relocate({ ...theirs, nodes })
  expect(store.adoptions.names()).toEqual([])
  expect(codeOf(() => store.adoptions.add(theirs))).toBe('no error')
  store.close()
})

test('a home from before there were adoptions gets the table', () => {
  open().close()
  const file = new DatabaseFile({ path: home.state, synchronous: 'FULL', version: 3, schema: '' })
  file.change('DROP TABLE adoptions')
  file.change('PRAGMA user_version = 1')
  file.close()
  const store = open()
  expect(store.adoptions.names()).toEqual([])
  store.close()
})
