// @ts-check
/**
 * Asks the API of the controller on a host as somebody who sits at that host: no cut of the network is in between.
 *
 * @typedef {{ id: number, url: string, init: RequestInit }} Asked
 */

/** @param {Asked} asked */
async function ask({ id, url, init }) {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(5000) })
    process.send?.({ id, status: response.status, text: await response.text() })
  } catch (error) {
    process.send?.({ id, trouble: error instanceof Error ? error.message : String(error) })
  }
}

process.on('message', (asked) => void ask(/** @type {Asked} */ (asked)))
process.on('disconnect', () => process.exit())
