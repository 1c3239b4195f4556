import { setTimeout as delay } from 'node:timers/promises'
import type { Status } from '@holdfast/core'
import { formatDuration, HoldfastError } from '@holdfast/core'
import type { Api } from './api.ts'
import { condense, shapeOf } from './condense.ts'
import type { Context } from './context.ts'

const askEveryMs = 100

/** An engine that failed this often in a row did not stumble over another one that was just going away. */
const startFailuresMax = 3

export interface Goal {
  readonly isThere: (status: Status) => boolean
  /** Default: as long as it takes. */
  readonly withinMs?: number
  /** Looks at every status that is not there yet; may throw, when waiting on is no use. */
  readonly check?: (status: Status) => void
  /** Ends the waiting: throws the signal's reason. */
  readonly signal?: AbortSignal
}

/** Waits until a deployment is as wanted, telling each new sentence of its loop. Throws TIMEOUT_NOT_READY. */
export async function until(
  { say }: Context,
  api: Api,
  name: string,
  { isThere, withinMs = Number.POSITIVE_INFINITY, check = () => {}, signal }: Goal,
): Promise<Status | undefined> {
  const deadline = performance.now() + withinMs
  let told = ''
  let because = 'nobody has looked at it yet'
  for (;;) {
    const status = await statusIfAny(api, name)
    if (status === 'gone') return undefined
    if (status !== undefined) {
      if (isThere(status)) return status
      because = condense(status.because)
      if (shapeOf(because) !== told) say(`  ${because}`)
      told = shapeOf(because)
      check(status)
    }
    if (performance.now() > deadline) throw notThere(name, because, withinMs)
    await delay(askEveryMs, undefined, signal === undefined ? {} : { signal })
  }
}

/** A lease that nobody renews is over before that. */
const leaseOverMs = 7000

/**
 * In the hands of a controller that lives: of the one that was asked, or of another one that has held it for longer than
 * the lease of a dead one lasts.
 */
function isKept(): (status: Status) => boolean {
  let holder = { id: '', since: 0 }
  return ({ controller: { id, lease } }) => {
    if (lease === 'held') return true
    if (lease === 'none' || id !== holder.id) holder = { id: lease === 'none' ? '' : id, since: performance.now() }
    return lease === 'lost' && performance.now() - holder.since >= leaseOverMs
  }
}

/** Ready, as specified by this revision at least, since what was just saved may not have been looked at yet. */
export function isReadyAt(revision: number): (status: Status) => boolean {
  const isServedNow = isServing()
  return (status) =>
    isServedNow(status) && status.specRevision >= revision && status.settledRevision === status.specRevision
}

/** Ready, whatever still waits for a restart. */
export function isServing(): (status: Status) => boolean {
  const isKeptNow = isKept()
  return (status) => isKeptNow(status) && status.ready === 'yes'
}

export const isDown = (status: Status): boolean =>
  status.wanted === 'down' &&
  [...status.nodes, ...status.sentinels].every(({ state }) => state === 'stopped' || state === 'dead')

/** Throws ENGINE_START_FAILED, with the engine's own words, once an engine has failed to start again and again. */
export function refuseFailedStarts({ name, nodes }: Status): void {
  for (const { id: node, startFailure } of nodes) {
    if (startFailure === null || startFailure.times < startFailuresMax) continue
    const { times, said } = startFailure
    const sentence = `${node} of ${name} failed to start ${times} times. It said: ${said}`
    throw new HoldfastError('ENGINE_START_FAILED', sentence, { name, node, times, said })
  }
}

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
    `${name} is not there after ${formatDuration(withinMs)}: ${because}. It is still being worked on: "holdfast status ${name}"`,
    { name, because },
  )
