import { setTimeout as delay } from 'node:timers/promises'
import type { ErrorCode } from '@holdfast/core'
import { errorTable, HoldfastError } from '@holdfast/core'
import { spawnServe } from '../serve-process.ts'
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
  const serve = onDisk(context.home.path, () => spawnServe(context.home.path, port))
  const deadline = performance.now() + startWithinMs
  for (;;) {
    const api = runningApi(context)
    if (api !== undefined) {
      serve.letGo()
      return { api, end: () => serve.end() }
    }
    if (serve.hasEnded()) throw notStarted(serve.said())
    if (performance.now() > deadline) {
      await serve.end()
      throw notStarted(serve.said())
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
