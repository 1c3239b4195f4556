import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** Processes that work below this directory, or were told of it: engines, and controllers that keep them up. */
export function processesOf(directory) {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && entry !== String(process.pid))
    .filter((pid) => workingDirectory(pid).startsWith(`${directory}/`) || environment(pid).includes(directory))
    .map(Number)
}

/** Ends what is left running of a directory that is nobody's any more, then removes it. */
export async function removeWithProcesses(directory) {
  // A controller that is still there starts its engines again, so one round may not be enough.
  for (let round = 0; round < 100; round++) {
    const left = processesOf(directory)
    if (left.length === 0) break
    for (const pid of left) killIfThere(pid)
    await delay(50)
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}

function killIfThere(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

const workingDirectory = (pid) => readOr('', () => readlinkSync(`/proc/${pid}/cwd`))
const environment = (pid) => readOr('', () => readFileSync(`/proc/${pid}/environ`, 'latin1'))

/** Gone meanwhile, or another user's: nothing to see. */
function readOr(otherwise, read) {
  try {
    return read()
  } catch {
    return otherwise
  }
}
