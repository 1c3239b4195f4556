import { setTimeout as delay } from 'node:timers/promises'
import { formatDuration, HoldfastError } from '@holdfast/core'
import type { Api } from './api.ts'
import { confirm } from './ask.ts'
import { condense, shapeOf } from './condense.ts'
import { withApi } from './connect.ts'
import type { Context } from './context.ts'

export interface RemoveHostFlags {
  readonly yes?: boolean
  readonly wait?: boolean
}

const askEveryMs = 500
/** Each copy is a transfer of its data: as long as a large one takes. */
const withinMs = 24 * 3_600_000

/**
 * `holdfast remove-host NAME`: says what lives there and what becomes of it, asks, moves it to the other hosts and lets
 * the machine go once it carries nothing. Said again, it goes on.
 */
export async function removeHost(
  context: Context,
  name: string,
  { yes = false, wait = true }: RemoveHostFlags,
): Promise<void> {
  await withApi(context, { acts: false }, async (api, isBorrowed) => {
    const { deployments, objection } = await api.previewRemoval(name)
    if (objection !== null) throw new HoldfastError('REFUSED_UNSAFE', objection, { host: name })
    for (const { name: deployment, lines } of deployments) {
      context.say(`${deployment}:`)
      for (const line of lines) context.say(`  ${line}`)
    }
    await confirm(context, `Let ${name} go${deployments.length === 0 ? '' : ' as shown'}?`, yes)
    if (deployments.length > 0) {
      await api.emptyHost(name)
      const names = deployments.map((one) => one.name)
      if (!wait || (isBorrowed && (await carriedBy(api, name)).length > 0)) {
        const how = isBorrowed ? 'once a controller runs ("holdfast serve")' : 'by and by'
        return context.out(`${name} is emptied ${how}; say "holdfast remove-host ${name}" again to let it go then`)
      }
      await untilEmpty(context, api, name, names)
    }
    await api.removeHost(name)
    context.out(`${name} belongs to this home no more, and is let in nowhere; end its agent there`)
  })
}

async function untilEmpty({ say }: Context, api: Api, host: string, names: readonly string[]): Promise<void> {
  const deadline = performance.now() + withinMs
  const told = new Map<string, string>()
  for (;;) {
    const carried = await carriedBy(api, host)
    if (carried.length === 0) return
    for (const name of names) {
      const because = await api.status(name).then(
        (status) => condense(status.because),
        () => null,
      )
      if (because === null || shapeOf(because) === told.get(name)) continue
      told.set(name, shapeOf(because))
      say(`  ${name}: ${because}`)
    }
    if (performance.now() > deadline) {
      const sentence = `${host} still carries ${carried.join('; ')} after ${formatDuration(withinMs)}: it is still being worked on`
      throw new HoldfastError('TIMEOUT_NOT_READY', sentence, { host })
    }
    await delay(askEveryMs)
  }
}

const carriedBy = async (api: Api, host: string): Promise<readonly string[]> =>
  (await api.hosts()).find(({ name }) => name === host)?.carries ?? []
