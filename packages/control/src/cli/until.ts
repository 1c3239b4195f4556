import { setTimeout as delay } from 'node:timers/promises'
import type { Status } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import type { Api } from './api.ts'
import type { Context } from './context.ts'

const askEveryMs = 100

/** Waits until a deployment is as wanted, telling each new sentence of its loop. Throws TIMEOUT_NOT_READY. */
export async function until(
  { say }: Context,
  api: Api,
  name: string,
  isThere: (status: Status) => boolean,
  withinMs: number,
): Promise<Status | undefined> {
  const deadline = performance.now() + withinMs
  let told = ''
  for (;;) {
    const status = await statusIfAny(api, name)
    if (status === 'gone') return undefined
    if (status !== undefined) {
      if (isThere(status)) return status
      if (status.because !== told) say(`  ${status.because}`)
      told = status.because
    }
    if (performance.now() > deadline) throw notThere(name, told, withinMs)
    await delay(askEveryMs)
  }
}

export const isReady = (status: Status): boolean =>
  status.ready === 'yes' && status.settledRevision === status.specRevision

export const isDown = (status: Status): boolean =>
  status.wanted === 'down' && status.nodes.every((node) => node.state === 'stopped' || node.state === 'dead')

async function statusIfAny(api: Api, name: string): Promise<Status | 'gone' | undefined> {
  try {
    return await api.status(name)
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'NOT_FOUND') return 'gone'
    if (error instanceof HoldfastError && error.code === 'UNREACHABLE_ENGINE') return undefined
    throw error
  }
}

const notThere = (name: string, because: string, withinMs: number): HoldfastError =>
  new HoldfastError(
    'TIMEOUT_NOT_READY',
    `${name} is not there after ${withinMs / 1000} s: ${because}. It is still being worked on: "holdfast status ${name}"`,
    { name, because },
  )
