import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { drillClients, faultTable, formatDuration } from '../../src/index.ts'

const page = readFileSync(new URL('../../../../docs/drills.md', import.meta.url), 'utf8')

/** The cells of a table's lines that begin with a name in code. */
const rows = page
  .split('\n')
  .filter((line) => /^\| `[\w-]+` +\|/.test(line))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )

test('the page has every fault as the table says it, in its order', () => {
  const expected = Object.entries(faultTable).map(([name, { what, aim, forMs, heals, costs, needs }]) => {
    return [`\`${name}\``, what, aim, forMs === 0 ? 'a moment' : formatDuration(forMs), heals, costs, needs]
  })
  expect(rows.filter(({ length }) => length === 7)).toEqual(expected)
})

test('the page knows every client', () => {
  expect(rows.filter(({ length }) => length === 2).map(([name]) => name)).toEqual(
    Object.keys(drillClients).map((name) => `\`${name}\``),
  )
})
