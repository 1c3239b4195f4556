import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { errorTable } from '../src/error.ts'

const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')

/** `| [CODE](#code) | 400 | 2 | no |` */
const rows = [...page.matchAll(/^\| \[(\w+)\]\(#(\w+)\) +\| (\d+) +\| (\d+) +\| (yes|no) +\|$/gm)]

test('the page lists every code with its status, its exit code and whether to try again', () => {
  const listed = rows.map(([, code, , status, exit, again]) => [
    code,
    { status: Number(status), exit: Number(exit), retry: again === 'yes' },
  ])
  expect(Object.fromEntries(listed)).toEqual(errorTable)
})

test('the page lists the codes in the order of the table, each once', () => {
  expect(rows.map(([, code]) => code)).toEqual(Object.keys(errorTable))
})

test('the page explains every code that it lists, and no other', () => {
  const explained = [...page.matchAll(/^### (\w+)$/gm)].map(([, code]) => code)
  expect(explained).toEqual(Object.keys(errorTable))
})

test('a line of the list leads to the explanation', () => {
  for (const [, code, anchor] of rows) expect(anchor).toBe(code?.toLowerCase())
})

/** What `holdfast --help` promises scripts: the exit code tells what kind of thing went wrong. */
test('one exit code never means two kinds of trouble', () => {
  const kinds: Record<string, number> = {
    REFUSED: 3,
    UNREACHABLE: 4,
    ENGINE: 5,
    TIMEOUT: 6,
    HOST: 7,
    AUTH: 8,
    DRILL: 9,
    OPERATION: 10,
    BACKUP: 11,
  }
  for (const [code, { exit }] of Object.entries(errorTable)) {
    expect(`${code} ${exit}`).toBe(`${code} ${kinds[code.split('_')[0] ?? ''] ?? 2}`)
  }
})
