/** Faults on purpose, ordered from an agent: by the same envelope as every action, and told in its own wall clock's time. */
import type { FaultSeen, FaultsAnswered } from '@holdfast/core'
import { HoldfastError, parseAgentId, parseFaultId, parseFaultNodes, parseFaultSent } from '@holdfast/core'
import type { FastifyInstance } from 'fastify'
import type { Clock } from '../clock.ts'
import type { FaultHost } from '../host/faults/fault-host.ts'

interface Doors {
  readonly faults: FaultHost
  readonly clock: Clock
  readonly boot: string
}

type OfDeployment = { Params: { deployment: string } }
type OfFault = { Params: { deployment: string; id: string } }

export function serveFaults(app: FastifyInstance, { faults, clock, boot }: Doors): void {
  const told = (...some: readonly FaultSeen[]): FaultsAnswered => ({ wall: clock.wall(), faults: some })

  app.post('/v1/faults', async ({ body }) => {
    const { boot: meant, envelope, nodes, network } = parseFaultSent(body)
    if (meant !== boot) {
      const because = `refused ${envelope.order.fault} of ${envelope.deployment}: this machine has started anew since it was asked for`
      throw new HoldfastError('REFUSED_EXPIRED', because, { deployment: envelope.deployment })
    }
    // The controller is a process of another machine, and is not killed from here.
    return told(await faults.inject(envelope, { nodes, network, controller: null }))
  })

  app.get<OfDeployment>('/v1/faults/:deployment', async ({ params }) =>
    told(...(await faults.seen(parseAgentId(params.deployment)))),
  )

  app.post<OfDeployment>('/v1/faults/:deployment/machine', async ({ params, body }) =>
    faults.machine(parseAgentId(params.deployment), { nodes: parseFaultNodes(body), controller: null }),
  )

  app.post<OfFault>('/v1/faults/:deployment/:id/heal', async ({ params }) =>
    told(await faults.heal(parseAgentId(params.deployment), parseFaultId(params.id))),
  )
}
