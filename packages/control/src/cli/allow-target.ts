import { HoldfastError } from '@holdfast/core'
import { withApi } from './connect.ts'
import type { Context } from './context.ts'

interface TargetOptions {
  readonly list?: boolean
  readonly remove?: boolean
}

/** `holdfast allow-target CIDR`: callers of the API may have this address inside connected to. */
export async function allowTarget(
  context: Context,
  target: string | undefined,
  { list = false, remove = false }: TargetOptions,
): Promise<void> {
  if (list === (target !== undefined)) {
    throw new HoldfastError('USAGE', 'name an address or a range, such as 10.0.0.7 or 10.0.0.0/24, or say --list')
  }
  await withApi(context, { acts: false }, async (api) => {
    if (target === undefined) {
      const { targets } = await api.ask<{ targets: readonly string[] }>('GET', '/allowed-targets')
      if (targets.length === 0) return context.say('no address inside is allowed to callers of the API')
      return context.out(targets.join('\n'))
    }
    if (remove) {
      const gone = await api.ask<{ target: string }>('DELETE', `/allowed-targets/${encodeURIComponent(target)}`)
      return context.say(`${gone.target} is not allowed any more`)
    }
    const added = await api.ask<{ target: string }>('POST', '/allowed-targets', { target })
    context.say(`callers of the API may have ${added.target} asked from now on`)
  })
}
