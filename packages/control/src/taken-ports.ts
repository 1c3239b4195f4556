import type { Spec } from '@holdfast/core'
import { HoldfastError, parseSpec, placeProxy } from '@holdfast/core'
import type { Store } from './store/store.ts'

/** The ports that applications reach its proxy by; none where it has none. */
export const proxyPortsOf = (spec: Spec): number[] => {
  const { port, replicaPort } = placeProxy(spec) ?? {}
  return [port, replicaPort].filter((one) => one != null)
}

/** Refuses ports that another deployment of this home has, whether it runs or not. */
export function refuseTakenPorts(store: Store, mine: string, ports: readonly number[]): void {
  for (const name of store.names().filter((other) => other !== mine)) {
    const other = store.load(name)
    if (other === undefined) continue
    const { nodes, sentinels = [] } = other
    const theirs = [...[...nodes, ...sentinels].map(({ port }) => port), ...proxyPortsOf(parseSpec(other.spec))]
    const taken = ports.find((port) => theirs.includes(port))
    if (taken === undefined) continue
    throw new HoldfastError(
      'HOST_PORT_IN_USE',
      `port ${taken} belongs to ${name}: choose another expose.basePort for ${mine}`,
      { port: taken, deployment: name },
    )
  }
}
