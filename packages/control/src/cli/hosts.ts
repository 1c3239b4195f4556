import { withApi } from './connect.ts'
import type { Context } from './context.ts'
import { hostText } from './host-text.ts'
import { table } from './table.ts'

export interface TokenFlags {
  readonly host: string
  readonly zone?: string
  readonly region?: string
}

/** `holdfast token`: stdout is the token and nothing else, so that it can be passed on as it is. */
export async function token(context: Context, flags: TokenFlags): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    context.out(await api.inviteHost(flags))
    context.say(
      `good for ${flags.host}, once and within the hour: there, run "holdfast agent --address ITS_ADDRESS --token -" and paste it`,
    )
  })
}

/** `holdfast hosts [NAME]`: who has joined, and what each carries; or one of them, as its machine is now. */
export async function hosts(
  context: Context,
  name: string | undefined,
  { json }: { readonly json?: boolean },
): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    if (name !== undefined) {
      const host = await api.host(name)
      return context.out(json === true ? JSON.stringify(host, null, 2) : hostText(host))
    }
    const list = await api.hosts()
    if (json === true) return context.out(JSON.stringify(list, null, 2))
    if (list.length === 0) return context.say('no host has joined: "holdfast token --host NAME" lets one in')
    const rows = list.map(({ address, port, carries, ...host }) => [
      host.name,
      host.state,
      host.zone,
      `${address}:${port}`,
      carries.join('; '),
    ])
    context.out(table([['HOST', 'STATE', 'ZONE', 'AGENT', 'CARRIES'], ...rows]))
  })
}
