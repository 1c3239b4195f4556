import type { HoldfastEvent } from '@holdfast/core'
import { chooseName, withApi } from './connect.ts'
import type { Context } from './context.ts'

export interface EventsOptions {
  readonly limit: string
  readonly json?: boolean
}

/** `holdfast events NAME`: what happened, oldest first, each with its reason. */
export async function events(
  context: Context,
  name: string | undefined,
  { limit, json }: EventsOptions,
): Promise<void> {
  await withApi(context, false, async (api) => {
    const found = await api.events(await chooseName(api, name), Number(limit))
    context.out(found.map((event) => (json === true ? JSON.stringify(event) : renderEvent(event))).join('\n'))
  })
}

export function renderEvent({ at, kind, subject, because }: HoldfastEvent): string {
  return `${new Date(at).toISOString()}  ${kind.padEnd(10)}  ${subject.padEnd(8)}  ${because}`
}
