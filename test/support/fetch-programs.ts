import { findTestEngine } from './engines.ts'
import { findPostgres } from './fetch-postgres.ts'
import { findTmux } from './tmux.ts'

/** Before the first integration test: what takes long is seen, and happens once. */
export default async function fetchPrograms(): Promise<void> {
  const { flavor, version, server } = await findTestEngine()
  console.log(`engine for the tests: ${flavor} ${version}, ${server}`)
  await tell('PostgreSQL', async () => (await findPostgres()).postgres)
  await tell('tmux', async () => (await findTmux()).program)
}

/** Few tests want one, and each of them will say why there is none as its reason. */
async function tell(title: string, find: () => Promise<string>): Promise<void> {
  try {
    console.log(`${title} for the tests: ${await find()}`)
  } catch (error) {
    console.log(error instanceof Error ? error.message : error)
  }
}
