/** Benches still run after what they measure has changed. How fast anything is, is not asked here. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { freshFolder } from '../../support/living.ts'

const main = resolve(import.meta.dirname, '../../../bench/main.mjs')

interface Figures {
  readonly rows: readonly { readonly what: string; readonly runs: readonly (number | null)[] }[]
}

const subjects = ['holdfast', 'node-redis', 'ioredis', 'bentocache', 'cacheable', 'cache-manager']

test('the bench of engine hits has a figure for us and for each peer', async () => {
  const { folder, remove } = freshFolder('bench')
  try {
    const file = join(folder, 'figures.json')
    const said = await run([main, 'cache', '--part', 'l2', '--quick', '--json', file])
    expect(said).toContain(`written to ${file}`)
    const { rows }: Figures = JSON.parse(readFileSync(file, 'utf8'))
    for (const subject of subjects) {
      const runs = rows.find(({ what }) => what === `engine hit, get: ${subject}`)?.runs ?? []
      expect([subject, runs.map(Number.isFinite)]).toEqual([subject, [true]])
    }
  } finally {
    remove()
  }
})

/** All that it says. Its exit code tells whether a limit was kept, which is no question to a busy machine. */
function run(args: readonly string[]): Promise<string> {
  return new Promise((done) => {
    execFile(process.execPath, args, { timeout: 50_000 }, (_, stdout, stderr) => done(stdout + stderr))
  })
}
