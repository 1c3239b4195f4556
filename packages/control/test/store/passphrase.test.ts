import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Home } from '../../src/store/home.ts'
import type { Passphrase } from '../../src/store/passphrase.ts'
import { readPassphrase } from '../../src/store/passphrase.ts'
import { seal, unseal } from '../../src/store/seal.ts'
import { howKeyIsKept, keepKey, secretKey } from '../../src/store/secret-key.ts'
import { codeOf } from './store.contract.ts'
import { temporaryHome } from './temporary-home.ts'

const variable = 'HOLDFAST_PASSPHRASE_FILE'

describe('a key under a passphrase', () => {
  let home: Home
  let clean: () => void
  beforeEach(() => ({ home, clean } = temporaryHome()) && undefined)
  afterEach(() => {
    delete process.env[variable]
    clean()
  })

  const passphrase = (text: string, name = 'passphrase'): Passphrase => {
    const path = `${home.path}/${name}`
    writeFileSync(path, `${text}\n`)
    return readPassphrase(path)
  }

  test('opens to the passphrase alone, and is nowhere in its file', () => {
    const right = passphrase('correct horse battery')
    const made = secretKey(home.key, true, right)
    expect(readFileSync(home.key, 'utf8')).not.toContain(made.toString('base64'))
    expect(howKeyIsKept(home.key)).toBe('passphrase')
    expect(secretKey(home.key, false, right)).toEqual(made)
    expect(codeOf(() => secretKey(home.key, false))).toBe('REFUSED_UNSAFE')
    expect(() => secretKey(home.key, false)).toThrow('name the file that has it by HOLDFAST_PASSPHRASE_FILE')
    const wrong = passphrase('correct horse batteries', 'wrong')
    expect(() => secretKey(home.key, true, wrong)).toThrow(`does not open with the passphrase in ${wrong.from}`)
    expect(secretKey(home.key, true, right)).toEqual(made)
  })

  test('is the key of before, when it is locked, locked by another, and unlocked again', () => {
    const made = secretKey(home.key, true)
    const sealed = seal(made, 'shop', 'what must still open')
    const one = passphrase('the first passphrase', 'one')
    const two = passphrase('the second passphrase', 'two')
    keepKey(home.key, one)
    expect(secretKey(home.key, false, one)).toEqual(made)
    expect(codeOf(() => keepKey(home.key, two))).toBe('REFUSED_UNSAFE')
    process.env[variable] = one.from
    keepKey(home.key, two)
    expect(() => secretKey(home.key, false, one)).toThrow('does not open')
    process.env[variable] = two.from
    keepKey(home.key, null)
    delete process.env[variable]
    expect(howKeyIsKept(home.key)).toBe('file')
    expect(unseal(secretKey(home.key, false), 'shop', sealed)).toBe('what must still open')
  }, 30_000)

  test('that is not under one, though somebody believes so, is said', () => {
    secretKey(home.key, true)
    const given = passphrase('correct horse battery')
    expect(() => secretKey(home.key, true, given)).toThrow(
      `Lock it with "holdfast key --passphrase-file ${given.from}"`,
    )
  })

  test('whose file was changed is not replaced', () => {
    const right = passphrase('correct horse battery')
    secretKey(home.key, true, right)
    copyFileSync(home.key, `${home.key}.kept`)
    writeFileSync(home.key, readFileSync(home.key, 'utf8').replace('N=131072', 'N=1073741824'))
    expect(() => secretKey(home.key, true, right)).toThrow('is damaged. Put back a copy')
    copyFileSync(`${home.key}.kept`, home.key)
    expect(secretKey(home.key, true, right)).toHaveLength(32)
  })

  test.each([
    ['short', 'has 5 characters: it needs at least 12'],
    ['', 'has 0 characters'],
  ])('a passphrase such as "%s" is refused', (text, said) => {
    expect(() => passphrase(text)).toThrow(said)
  })

  test('a file that is not there is said by its name', () => {
    expect(() => readPassphrase(`${home.path}/nothing`)).toThrow('the passphrase cannot be read: ENOENT')
  })
})

test('what is sealed for one record does not open for another', () => {
  const key = Buffer.alloc(32, 1)
  const sealed = seal(key, 'shop', 'canary')
  expect(unseal(key, 'shop', sealed)).toBe('canary')
  expect(() => unseal(key, 'basket', sealed)).toThrow('the secrets of basket do not open')
  expect(() => unseal(Buffer.alloc(32, 2), 'shop', sealed)).toThrow('do not open with the key of this home')
})
