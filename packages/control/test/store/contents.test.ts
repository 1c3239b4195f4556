import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bring, contentsOf, openContents, sealContents } from '../../src/store/contents.ts'
import type { Home } from '../../src/store/home.ts'
import { secretKey } from '../../src/store/secret-key.ts'
import { SqliteStore } from '../../src/store/sqlite-store.ts'
import { aDocument, codeOf } from './store.contract.ts'
import { temporaryHome } from './temporary-home.ts'

describe('what a controller knows, as a copy', () => {
  const homes: { home: Home; clean: () => void }[] = []
  let lost: SqliteStore
  let key: Buffer
  const open = (home: Home) => new SqliteStore({ home, bootId: 'boot' })
  const newHome = (): Home => {
    const one = temporaryHome()
    homes.push(one)
    return one.home
  }
  beforeEach(async () => {
    const home = newHome()
    lost = open(home)
    key = secretKey(home.key, false)
    await lost.save(aDocument({ secrets: { app: 'canary-5f2c91' } }))
    await lost.settings.swap('authority', undefined, 'canary-authority')
    await lost.lease('shop', { holder: 'a', now: 0, forMs: 1000 })
  })
  afterEach(() => {
    lost.close()
    for (const { clean } of homes.splice(0)) clean()
  })

  test('brings all of it into an empty home, in a later epoch than any before', async () => {
    const copy = sealContents(contentsOf(lost), key, new Date(0))
    const home = newHome()
    const { contents, takenAt } = openContents(copy, key, 'copy')
    expect(takenAt).toBe('1970-01-01T00:00:00.000Z')
    const store = open(home)
    expect(await bring(contents, store, 1000)).toEqual(['shop'])
    expect(store.load('shop')).toEqual(lost.load('shop'))
    expect(store.settings.get('authority')).toBe('canary-authority')
    expect((await store.lease('shop', { holder: 'b', now: 0, forMs: 1000 })).epoch).toBe(1002)
    store.close()
  })

  test('done again after it was interrupted, it brings what was left and changes nothing else', async () => {
    const contents = contentsOf(lost)
    const store = open(newHome())
    await bring({ ...contents, documents: [] }, store)
    expect(await bring(contents, store)).toEqual(['shop'])
    const edited = await store.save({ ...aDocument(), ...store.load('shop'), wanted: 'down' })
    expect(await bring(contents, store)).toEqual([])
    expect(store.load('shop')).toEqual(edited)
    store.close()
  })

  test('opens with the key of its home alone, and tells nothing', () => {
    const copy = sealContents(contentsOf(lost), key, new Date(0))
    expect(copy).not.toContain('canary')
    const other = secretKey(newHome().key, true)
    expect(codeOf(() => openContents(copy, other, 'copy'))).toBe('REFUSED_UNSAFE')
    expect(codeOf(() => openContents(copy.replace('"sealed": "A', '"sealed": "B').slice(0, -9), key, 'copy'))).toBe(
      'BACKUP_UNREADABLE',
    )
    expect(codeOf(() => openContents('{}', key, 'copy'))).toBe('BACKUP_UNREADABLE')
  })
})
