import { HoldfastError } from '@holdfast/core'
import { confirm } from './ask.ts'
import { chooseName, withApi } from './connect.ts'
import type { Context } from './context.ts'

export interface DegradeOptions {
  readonly because?: string
  readonly undo?: boolean
  readonly yes?: boolean
}

/** `holdfast degrade NAME SHARD --because …`: a durable shard takes writes without a copy, until --undo. */
export async function degrade(
  context: Context,
  name: string,
  shard: string,
  { because, undo = false, yes = false }: DegradeOptions,
): Promise<void> {
  if (undo === (because !== undefined)) {
    throw new HoldfastError(
      'USAGE',
      `say why with --because, or end it with --undo: "holdfast degrade ${name} ${shard} --because …"`,
    )
  }
  await withApi(context, { acts: false }, async (api) => {
    const chosen = await chooseName(api, name)
    if (!undo) {
      const cost = `Let ${shard} of ${chosen} take writes that no copy has? The death of its primary then costs them.`
      await confirm(context, cost, yes)
    }
    await api.setDegraded(chosen, shard, because ?? null)
    context.say(
      undo
        ? `${shard} takes no write without a copy again, once two of them are in sync`
        : `${shard} takes writes without a copy; "holdfast degrade ${chosen} ${shard} --undo" ends it`,
    )
  })
}
