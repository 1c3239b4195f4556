import { setTimeout as delay } from 'node:timers/promises'
import type { NodeStatus, Status } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { readController } from '../store/controller-file.ts'
import { Api } from './api.ts'
import type { Context } from './context.ts'

/** A controller that just started has looked at everything within a turn or two. */
const firstLookWithinMs = 5000

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

/** What a command needs of a controller, where none runs and one is borrowed for the length of the command. */
export type Borrow =
  /** It looks, and saves what is wanted: nothing is done to engines. */
  | { readonly acts: false }
  /** It acts on this one deployment, and leaves the others alone. */
  | { readonly acts: true; readonly on: string }

/** Runs a command against the controller of this home, or a borrowed one. */
export async function withApi<T>(
  context: Context,
  borrow: Borrow,
  work: (api: Api, isBorrowed: boolean) => Promise<T>,
): Promise<T> {
  const api = runningApi(context)
  if (api !== undefined) return work(api, false)
  const { startController } = await import('../wire.ts')
  const borrowed = await startController({ home: context.home, progress: context.say, ...borrow })
  try {
    if (!borrow.acts) {
      for (const name of borrowed.controller.names()) await borrowed.controller.look(name)
    }
    return await work(new Api(borrowed.url, borrowed.token), true)
  } finally {
    await borrowed.close()
  }
}

/** The deployment that is meant: the one that was named, or the only one there is. */
export function chooseAmong(names: readonly string[], name: string | undefined): string {
  const list = names.join(', ')
  if (names.length === 0) {
    const sentence = name === undefined ? 'there is no deployment yet' : `there is no deployment ${name}, nor any other`
    throw new HoldfastError('NOT_FOUND', `${sentence}: "holdfast up" makes one`, { names })
  }
  if (name === undefined) {
    if (names.length === 1) return names[0] as string
    throw new HoldfastError('USAGE', `which one? There are ${list}: name one`, { names })
  }
  if (names.includes(name)) return name
  throw new HoldfastError('NOT_FOUND', `there is no deployment ${JSON.stringify(name.slice(0, 80))}, only ${list}`, {
    name: name.slice(0, 80),
    names,
  })
}

export async function chooseName(api: Api, name: string | undefined): Promise<string> {
  return chooseAmong(await api.names(), name)
}

/** How it is; asked again while its controller has only just started and not looked yet. */
export async function statusOnceSeen(api: Api, name: string): Promise<Status> {
  const deadline = performance.now() + firstLookWithinMs
  for (;;) {
    try {
      return await api.status(name)
    } catch (error) {
      const isUnseen = error instanceof HoldfastError && error.code === 'UNREACHABLE_ENGINE'
      if (!isUnseen || performance.now() > deadline) throw error
    }
    await delay(50)
  }
}

/**
 * Waits a moment until every node of a deployment has answered, or is known to be gone: an edit is judged by what they
 * use, and a controller that was borrowed for one command has only begun to look.
 */
export async function awaitAnswers(api: Api, name: string): Promise<void> {
  if (!(await api.names()).includes(name)) return
  const deadline = performance.now() + firstLookWithinMs
  const isKnown = ({ memoryBytes, state }: NodeStatus): boolean =>
    memoryBytes !== null || state === 'dead' || state === 'stopped'
  while (!(await statusOnceSeen(api, name)).nodes.every(isKnown) && performance.now() < deadline) await delay(50)
}
