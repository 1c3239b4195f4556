import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))

test('each test that docs/security.md names is there, and each requirement names one', () => {
  const rows = readFileSync(`${root}/docs/security.md`, 'utf8')
    .split('\n')
    .filter((line) => /^\| \d+ \|/.test(line))
  expect(rows.map((row) => Number(row.split('|')[1]))).toEqual(Array.from({ length: 22 }, (_, index) => index + 1))
  for (const row of rows) {
    const named = [...(row.split('|')[4] ?? '').matchAll(/`([\w./-]+)`/g)].map(([, path]) => path ?? '')
    expect(named, row).not.toEqual([])
    expect(
      named.filter((path) => !existsSync(`${root}/${path}`)),
      row,
    ).toEqual([])
  }
})
