import { duration, HoldfastError } from '@holdfast/core'
import { confirm } from './ask.ts'
import { chooseName, withApi } from './connect.ts'
import type { Context } from './context.ts'

/** `holdfast pause NAME --because …`: the controller looks and tells, and does nothing. */
export async function pause(
  context: Context,
  name: string | undefined,
  options: { readonly because: string; readonly for?: string; readonly yes?: boolean },
): Promise<void> {
  const until = options.for === undefined ? null : Date.now() + lengthOf(options.for)
  await withApi(context, { acts: false }, async (api) => {
    const chosen = await chooseName(api, name)
    await confirm(
      context,
      `Pause ${chosen}? Nothing is healed meanwhile, not even a dead primary.`,
      options.yes === true,
    )
    await api.pause(chosen, options.because, until)
    const end = until === null ? `"holdfast resume ${chosen}" ends it` : `it ends at ${new Date(until).toISOString()}`
    context.say(`${chosen} is paused; ${end}`)
  })
}

export async function resume(context: Context, name: string | undefined): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    const chosen = await chooseName(api, name)
    await api.resume(chosen)
    context.say(`${chosen} is kept up again`)
  })
}

/** `holdfast drain NAME NODE`: moves the primary away from a node, and keeps it away until --undo. */
export async function drain(
  context: Context,
  name: string,
  node: string,
  { undo = false, yes = false }: { readonly undo?: boolean; readonly yes?: boolean },
): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    const chosen = await chooseName(api, name)
    if (!undo) await confirm(context, `Keep primaries away from ${node} of ${chosen}?`, yes)
    await api.setDrained(chosen, node, !undo)
    context.say(undo ? `${node} may hold a primary again` : `${node} hands over what it is primary of, and gets none`)
  })
}

function lengthOf(text: string): number {
  const parsed = duration.safeParse(text)
  if (parsed.success && parsed.data > 0) return parsed.data
  throw new HoldfastError('USAGE', `--for ${text}: how long, such as 30m or 2h`)
}
