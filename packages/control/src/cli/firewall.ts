import type { FirewallForm } from '@holdfast/core'
import { firewallForms, firewallOf, HoldfastError, parseSpec, renderFirewall } from '@holdfast/core'
import { chooseName, statusOnceSeen, withApi } from './connect.ts'
import type { Context } from './context.ts'

interface FirewallOptions {
  readonly as: string
  readonly clients?: readonly string[]
  readonly controllers?: readonly string[]
  readonly joining?: readonly string[]
  readonly etcd?: readonly string[]
}

/** Where a join door and etcd listen, unless somebody has said otherwise. */
const ports = { join: 7501, etcdClient: 2379, etcdPeer: 2380 } as const

/** `holdfast firewall NAME`: the rules that this deployment needs. Printed, and loaded by whoever keeps the firewall. */
export async function firewall(context: Context, name: string | undefined, options: FirewallOptions): Promise<void> {
  const { clients = [], controllers = [], joining = [], etcd = [] } = options
  const form = formOf(options.as)
  await withApi(context, { acts: false }, async (api) => {
    const chosen = await chooseName(api, name)
    const [status, { spec }, joined] = await Promise.all([statusOnceSeen(api, chosen), api.spec(chosen), api.hosts()])
    const mine = new Set(parseSpec(spec).hosts.map(({ name: host }) => host))
    const rules = firewallOf({
      status,
      clients,
      agents: joined.filter((host) => mine.has(host.name)),
      controllers: controllers.map((address) => ({ address, joinPort: ports.join })),
      etcd: etcd.map((address) => ({ address, clientPort: ports.etcdClient, peerPort: ports.etcdPeer })),
      joining,
    })
    if (rules.openings.length === 0) {
      return context.say(`${chosen} listens on loopback alone: there is nothing to open, and nothing to close.`)
    }
    if (clients.length === 0) context.say('No --clients: no application on another machine is let in.')
    context.out(renderFirewall(rules, form).trimEnd())
  })
}

function formOf(text: string): FirewallForm {
  const form = firewallForms.find((one) => one === text)
  if (form !== undefined) return form
  throw new HoldfastError('USAGE', `--as ${text}: choose ${firewallForms.join(', ')}`)
}
