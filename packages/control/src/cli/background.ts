import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ErrorCode } from '@holdfast/core'
import { errorTable, HoldfastError } from '@holdfast/core'
import { onDisk } from '../store/disk-error.ts'
import type { Api } from './api.ts'
import { runningApi } from './connect.ts'
import type { Context } from './context.ts'

const startWithinMs = 20_000

export interface Background {
  readonly api: Api
  /** Ends it again, if it was this command that started it. */
  readonly end: () => Promise<void>
}

/** Starts a controller that outlives this command and its terminal, and waits until it answers. */
export async function startInBackground(context: Context, port: number | undefined): Promise<Background> {
  const main = fileURLToPath(new URL('../main.js', import.meta.url))
  // A file and not a pipe: nobody reads the pipe once this command is over, and writing to it would end the controller.
  const talkPath = join(context.home.path, 'controller.err')
  const talk = onDisk(talkPath, () => openSync(talkPath, 'w', 0o600))
  const child = spawn(process.execPath, [main, 'serve', ...(port === undefined ? [] : ['--port', String(port)])], {
    detached: true,
    stdio: ['ignore', 'ignore', talk],
    env: { ...process.env, HOLDFAST_HOME: context.home.path },
  })
  closeSync(talk)
  const gone = once(child, 'exit')
  const end = async (): Promise<void> => {
    child.ref()
    if (child.kill('SIGTERM')) await gone
  }
  const deadline = performance.now() + startWithinMs
  for (;;) {
    const api = runningApi(context)
    if (api !== undefined) {
      child.unref()
      return { api, end }
    }
    if (child.exitCode !== null || child.signalCode !== null) throw notStarted(readFileSync(talkPath, 'utf8'))
    if (performance.now() > deadline) {
      await end()
      throw notStarted(readFileSync(talkPath, 'utf8'))
    }
    await delay(50)
  }
}

/** Its own refusal, where it gave one: the command line ends each with its code in brackets. */
function notStarted(said: string): HoldfastError {
  const [, sentence, code] = /^([\s\S]*)\n\(([A-Z_]+)\)\s*$/.exec(said) ?? []
  if (sentence !== undefined && code !== undefined && Object.hasOwn(errorTable, code)) {
    return new HoldfastError(code as ErrorCode, sentence)
  }
  return new HoldfastError(
    'UNREACHABLE_CONTROLLER',
    `the controller did not start: ${said.trim() || 'it said nothing'}`,
  )
}
