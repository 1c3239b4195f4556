import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import Database from 'libsql'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bootId } from '../../src/proc.ts'
import { DatabaseFile } from '../../src/store/database.ts'
import type { Home } from '../../src/store/home.ts'
import { SqliteStore } from '../../src/store/sqlite-store.ts'
import { aDocument, codeOf, describeStore } from './store.contract.ts'
import { temporaryHome } from './temporary-home.ts'

describeStore('sqlite', () => {
  const { home, clean } = temporaryHome()
  return { open: () => new SqliteStore({ home, bootId: 'boot-1' }), clean }
})

describe('the file of the store', () => {
  let home: Home
  let clean: () => void
  beforeEach(() => ({ home, clean } = temporaryHome()) && undefined)
  afterEach(() => clean())
  const open = (boot = 'boot-1') => new SqliteStore({ home, bootId: boot })
  const bare = (sql: string): void => {
    const db = new Database(home.state)
    db.exec(sql)
    db.close()
  }

  test('keeps what was saved when the next process opens it', async () => {
    const first = open()
    const saved = await first.save(aDocument())
    await first.settings.swap('admin', undefined, 'scrypt$…')
    first.close()
    const second = open()
    expect(second.load('shop')).toEqual(saved)
    expect(second.settings.get('admin')).toBe('scrypt$…')
    second.close()
  })

  test('what was saved when no backup was the default says so from now on, and what said something keeps it', async () => {
    const before = open()
    const silent = await before.save(aDocument({ spec: { name: 'shop', shards: 3 } }))
    await before.save(aDocument({ name: 'daily', spec: { name: 'daily', backup: { every: '12h' } } }))
    before.close()
    bare('PRAGMA user_version = 2')
    const store = open()
    expect(store.load('shop')).toEqual({
      ...silent,
      revision: silent.revision + 1,
      spec: { name: 'shop', shards: 3, backup: 'off' },
    })
    expect(store.load('daily')?.spec).toEqual({ name: 'daily', backup: { every: '12h' } })
    expect(store.load('daily')?.revision).toBe(1)
    store.close()
  })

  test('a setting from before they were sealed is read, and sealed when it is next written', async () => {
    open().close()
    bare("INSERT INTO settings VALUES ('adminHash', 'scrypt$old')")
    const store = open()
    expect(store.settings.get('adminHash')).toBe('scrypt$old')
    expect(await store.settings.swap('adminHash', 'scrypt$old', 'scrypt$new')).toBe(true)
    expect(readFileSync(`${home.state}-wal`, 'latin1')).not.toContain('scrypt$new')
    expect(store.settings.get('adminHash')).toBe('scrypt$new')
    store.close()
  })

  test('a lease of another boot has expired, whatever its clock said', async () => {
    const before = open('boot-1')
    await before.lease('shop', { holder: 'a', now: 1e9, forMs: 1e9 })
    before.close()
    const after = open('boot-2')
    expect(await after.lease('shop', { holder: 'b', now: 5, forMs: 100 })).toEqual({
      holder: 'b',
      epoch: 2,
      until: 105,
    })
    expect((await after.lease('shop', { holder: 'b', now: 50, forMs: 100 })).epoch).toBe(2)
    after.close()
  })

  test('no secret is in any file of the home in clear', async () => {
    const store = open()
    const saved = await store.save(aDocument({ secrets: { app: 'canary-5f2c91', admin: 'canary-aa01' } }))
    await store.settings.swap('authority', undefined, 'canary-of-the-authority')
    await store.save({ ...saved, specRevision: 2 })
    const files = readdirSync(home.path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    expect(files.map((file) => file.name)).toContain('state.db-wal')
    for (const file of files) {
      expect(readFileSync(`${file.parentPath}/${file.name}`).includes('canary'), file.name).toBe(false)
    }
    store.close()
  })

  test('only its owner can read its files', async () => {
    const store = open()
    await store.save(aDocument())
    for (const file of ['state.db', 'state.db-wal', 'secret.key']) {
      expect(statSync(`${home.path}/${file}`).mode & 0o777, file).toBe(0o600)
    }
    store.close()
  })

  test("secrets copied to another deployment's row do not open", async () => {
    const store = open()
    await store.save(aDocument())
    await store.save(aDocument({ name: 'other' }))
    store.close()
    bare("UPDATE documents SET sealed = (SELECT sealed FROM documents WHERE name = 'shop') WHERE name = 'other'")
    const again = open()
    expect(codeOf(() => again.load('other'))).toBe('REFUSED_UNSAFE')
    expect(again.load('shop')?.secrets).toEqual({ app: 'wanderer' })
    again.close()
  })

  test('a lost key is said, and not replaced', async () => {
    const store = open()
    await store.save(aDocument())
    store.close()
    copyFileSync(home.key, `${home.key}.kept`)
    rmSync(home.key)
    expect(codeOf(() => open())).toBe('REFUSED_UNSAFE')
    copyFileSync(`${home.key}.kept`, home.key)
    const again = open()
    expect(again.load('shop')?.secrets).toEqual({ app: 'wanderer' })
    again.close()
  })

  test('a document of a newer version is refused, and left as it is', async () => {
    const store = open()
    await store.save(aDocument())
    bare('UPDATE documents SET apiVersion = 2')
    expect(codeOf(() => store.load('shop'))).toBe('HOST_HOME_NEWER')
    expect(await codeOf(() => store.save(aDocument({ revision: 1 })))).toBe('SPEC_CONFLICT')
    store.close()
  })

  test('a file with a newer layout is refused', () => {
    open().close()
    bare('PRAGMA user_version = 4')
    expect(codeOf(() => open())).toBe('HOST_HOME_NEWER')
  })

  test('a file that is no database is refused, and left as it is', () => {
    writeFileSync(home.state, 'this is not a database, and it is long enough to be looked at. '.repeat(20))
    expect(codeOf(() => open())).toBe('REFUSED_UNSAFE')
    expect(readFileSync(home.state, 'utf8')).toContain('this is not a database')
  })

  test('a file that another process holds locked is said to be in use', async () => {
    const store = open()
    const holder = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import Database from 'libsql'
         const db = new Database(process.argv[1])
         db.exec('BEGIN IMMEDIATE')
         console.log('held')
         setInterval(() => {}, 1000)`,
        home.state,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], cwd: import.meta.dirname },
    )
    try {
      await once(holder.stdout, 'data')
      expect(await codeOf(() => store.save(aDocument()))).toBe('HOST_HOME_IN_USE')
    } finally {
      holder.kill('SIGKILL')
      await once(holder, 'exit')
    }
    // The kernel gives its locks back, however it ended.
    expect((await store.save(aDocument())).revision).toBe(1)
    store.close()
  })

  test('a full disk is said, and what was saved stays', async () => {
    const store = open()
    const saved = await store.save(aDocument())
    store.close()
    const file = new DatabaseFile({ path: home.state, synchronous: 'FULL', version: 3, schema: '' })
    const pages = Number(file.row('PRAGMA page_count')?.['page_count'])
    file.row(`PRAGMA max_page_count = ${pages}`)
    const fill = () => file.change("INSERT INTO settings VALUES ('big', ?)", 'x'.repeat(100_000))
    expect(codeOf(fill)).toBe('HOST_DISK_FULL')
    expect(codeOf(() => file.transaction(fill))).toBe('HOST_DISK_FULL')
    file.close()
    const again = open()
    expect(again.load('shop')).toEqual(saved)
    again.close()
  })

  test('the boot has an id', () => {
    expect(bootId()).toMatch(/^[0-9a-f-]{36}$/)
  })
})
