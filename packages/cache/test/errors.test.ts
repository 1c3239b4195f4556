import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { CacheError, cacheErrors } from '../src/errors.ts'

test('every code is documented, with whether to try again', () => {
  const page = readFileSync(new URL('../../../docs/cache/errors.md', import.meta.url), 'utf8')
  const documented = [...page.matchAll(/^\| `([A-Z_]+)`\s*\| (yes|no)/gm)].map(([, code, retry]) => [
    code,
    retry === 'yes',
  ])
  expect(documented).toEqual(Object.entries(cacheErrors).map(([code, { retry }]) => [code, retry]))
})

test('an error keeps its cause and its values', () => {
  const cause = new Error('ECONNREFUSED')
  const error = new CacheError('UNAVAILABLE', '127.0.0.1:7001 is away', { node: '127.0.0.1:7001' }, cause)
  expect(error).toMatchObject({
    name: 'CacheError',
    code: 'UNAVAILABLE',
    retry: true,
    cause,
    facts: { node: '127.0.0.1:7001' },
  })
})
