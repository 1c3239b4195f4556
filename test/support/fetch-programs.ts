import { findTestEngine } from './engines.ts'
import { findPostgres } from './fetch-postgres.ts'

/** Before the first integration test: what takes long is seen, and happens once. */
export default async function fetchPrograms(): Promise<void> {
  const { flavor, version, server } = await findTestEngine()
  console.log(`engine for the tests: ${flavor} ${version}, ${server}`)
  try {
    const { postgres } = await findPostgres()
    console.log(`PostgreSQL for the tests: ${postgres}`)
  } catch (error) {
    // Few tests want one, and each of them will say this as its reason.
    console.log(error instanceof Error ? error.message : error)
  }
}
