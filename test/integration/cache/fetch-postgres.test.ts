/**
 * The real fetch of a database for the tests: apt, its package sources, and a PostgreSQL that runs afterwards, whether or
 * not one is installed. It is kept beside the fetched engines, so that only the first run waits for the network.
 */
import { expect, test } from 'vitest'
import { programsHome } from '../../support/engines.ts'
import { findPostgres } from '../../support/fetch-postgres.ts'
import { startPostgres } from '../../support/postgres.ts'

test('where no PostgreSQL is installed, one is fetched, and it runs', { timeout: 300_000 }, async () => {
  const programs = await findPostgres({ installed: [] })
  expect(programs.postgres.startsWith(programsHome)).toBe(true)
  const database = await startPostgres(programs)
  try {
    const { rows } = await database.pool.query('select 1 as one')
    expect(rows).toEqual([{ one: 1 }])
  } finally {
    await database.close()
  }
  // The second time it is there.
  expect(await findPostgres({ installed: [] })).toEqual(programs)
})
