import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { secretsInHome, secretsSaid } from '../../../test/support/no-secrets.ts'
import { newPassword } from '../src/new-password.ts'
import { DatabaseFile } from '../src/store/database.ts'
import type { Home } from '../src/store/home.ts'
import { temporaryHome } from './store/temporary-home.ts'

/** What the integration tests are searched with: where it finds nothing, it must be because there is nothing. */
describe('the search for secrets', () => {
  let home: Home
  let clean: () => void
  beforeEach(() => ({ home, clean } = temporaryHome()) && undefined)
  afterEach(() => clean())

  const write = (name: string, text: string): void => {
    mkdirSync(join(home.path, name, '..'), { recursive: true })
    writeFileSync(join(home.path, name), text)
  }

  test.each([
    'controller.log',
    'deployments/shop/node-1/engine.log',
    'deployments/shop/node-1/users.acl',
    'agent/x.json',
  ])('finds one in %s', (name) => {
    const canary = newPassword()
    write(name, `{"said":"AUTH app ${canary}"}`)
    expect(secretsInHome(home.path)).toEqual([`${name} shows ${canary.slice(0, 12)}`])
  })

  test('finds one in a database, also before it is in its place', () => {
    const db = new DatabaseFile({
      path: home.history,
      synchronous: 'NORMAL',
      version: 1,
      schema: 'CREATE TABLE events (because TEXT NOT NULL) STRICT;',
      changes: [],
    })
    db.change('INSERT INTO events VALUES (?)', `said ${newPassword()}`)
    expect(secretsInHome(home.path).length).toBeGreaterThan(0)
    db.close()
    expect(secretsInHome(home.path).length).toBeGreaterThan(0)
  })

  test.each(['secret.key', 'controller.json', 'deployments/shop/node-1/engine.conf'])('lets one be in %s', (name) => {
    write(name, newPassword())
    expect(secretsInHome(home.path)).toEqual([])
  })

  test('finds one in what a command says, unless it was asked for it', () => {
    const canary = newPassword()
    expect(secretsSaid(['status', 'shop'], canary)).toEqual([`"holdfast status shop" says ${canary.slice(0, 12)}`])
    expect(secretsSaid(['url', 'shop', '--show-secret'], canary)).toEqual([])
  })
})
