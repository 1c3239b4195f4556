import type { HoldfastEvent } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { chooseName, withApi } from './connect.ts'
import type { Context } from './context.ts'

export interface EventsOptions {
  readonly limit: string
  readonly json?: boolean
}

const eventsMax = 1000

/** `holdfast events NAME`: what happened, oldest first, each with its reason. */
export async function events(
  context: Context,
  name: string | undefined,
  { limit, json }: EventsOptions,
): Promise<void> {
  const count = Number(limit)
  if (!Number.isInteger(count) || count < 1 || count > eventsMax) {
    throw new HoldfastError('USAGE', `--limit ${limit}: a number of events from 1 to ${eventsMax}`)
  }
  await withApi(context, { acts: false }, async (api) => {
    const found = await api.events(await chooseName(api, name), count)
    if (found.length === 0) return context.say('nothing happened yet')
    context.out(found.map((event) => (json === true ? JSON.stringify(event) : renderEvent(event))).join('\n'))
  })
}

function renderEvent({ at, kind, subject, because }: HoldfastEvent): string {
  return `${new Date(at).toISOString()}  ${kind.padEnd(10)}  ${subject.padEnd(8)}  ${because}`
}
