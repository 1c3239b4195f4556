import { HoldfastError } from '@holdfast/core'
import { readController } from '../store/controller-file.ts'
import { startController } from '../wire.ts'
import { Api } from './api.ts'
import type { Context } from './context.ts'

/** The API of the controller that keeps this home, if one runs. */
export function runningApi({ home }: Context): Api | undefined {
  const found = readController(home)
  if (found === undefined) return undefined
  if (found.stopped) {
    throw new HoldfastError(
      'UNREACHABLE_CONTROLLER',
      `the controller (pid ${found.pid}) is stopped by a signal: continue it with "kill -CONT ${found.pid}", or start another with "holdfast serve"`,
      { pid: found.pid },
    )
  }
  return new Api(found.url, found.token)
}

/**
 * Runs a command against the controller of this home. Where none runs, one is borrowed for the length of the command:
 * one that only looks, unless the command has to change something (`acts`).
 */
export async function withApi<T>(context: Context, acts: boolean, work: (api: Api) => Promise<T>): Promise<T> {
  const api = runningApi(context)
  if (api !== undefined) return work(api)
  const borrowed = await startController({ home: context.home, progress: context.say, acts })
  try {
    if (!acts) {
      for (const name of borrowed.controller.names()) await borrowed.controller.look(name)
    }
    return await work(new Api(borrowed.url, borrowed.token))
  } finally {
    await borrowed.close()
  }
}

/** The deployment that is meant: the one that was named, or the only one there is. */
export async function chooseName(api: Api, name: string | undefined): Promise<string> {
  if (name !== undefined) return name
  const names = await api.names()
  const [only] = names
  if (only !== undefined && names.length === 1) return only
  throw new HoldfastError(
    names.length === 0 ? 'NOT_FOUND' : 'USAGE',
    names.length === 0 ? 'there is no deployment yet: holdfast up' : `which one? ${names.join(', ')}`,
    { names },
  )
}
