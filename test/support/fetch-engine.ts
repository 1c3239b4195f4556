import { findTestEngine } from './engines.ts'

/** Before the first integration test: what takes long is seen, and happens once. */
export default async function fetchEngine(): Promise<void> {
  const { flavor, version, server } = await findTestEngine()
  console.log(`engine for the tests: ${flavor} ${version}, ${server}`)
}
