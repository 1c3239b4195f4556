import type { AddressInfo } from 'node:net'
import type { AgentTerms } from '@holdfast/core'
import { pino } from 'pino'
import type { Credentials } from '../../src/agent/mutual-tls.ts'
import type { RemoteHostOptions } from '../../src/agent/remote-host.ts'
import { RemoteHost } from '../../src/agent/remote-host.ts'
import type { Fenceable } from '../../src/agent/self-fence.ts'
import { SelfFence } from '../../src/agent/self-fence.ts'
import { buildAgent } from '../../src/agent/server.ts'
import type { Clock } from '../../src/clock.ts'
import { FactsReader } from '../../src/host/facts.ts'
import type { FaultHost } from '../../src/host/faults/fault-host.ts'
import type { HostPort } from '../../src/host/host.ts'
import { createAuthority, issuePair } from '../../src/pki/authority.ts'
import type { Identity, KeyPair } from '../../src/pki/certificate.ts'

const now = Date.now()
const home: KeyPair = await createAuthority('test', now)

export async function credentialsOf(identity: Identity, authority: KeyPair = home): Promise<Credentials> {
  const pair = await issuePair(authority, { identity, addresses: ['127.0.0.1'], now })
  return { ...pair, authority: authority.certificate }
}

const controller = await credentialsOf({ role: 'controller', name: 'test' })

export const someTerms: AgentTerms = {
  engine: { flavor: 'auto' },
  admin: { username: 'holdfast-admin', password: 'secret' },
  owned: ['hz'],
  hosts: [],
  leaseAfterMs: 1500,
}

/** Nothing of it is fenced. */
const unfenced: Fenceable = { id: 'a', epoch: () => 0, fence: () => {} }

const refuse = (): Promise<never> => Promise.reject(new Error('no fault is done here'))
const noFaults: FaultHost = { now: () => 0, machine: refuse, inject: refuse, heal: refuse, seen: async () => [] }

export interface RunningAgent {
  readonly port: number
  readonly terms: ReadonlyMap<string, AgentTerms>
  /** As a controller reaches it, unless it says otherwise. */
  reach(some?: Partial<RemoteHostOptions>): RemoteHost
  readonly watch: SelfFence
  close(): Promise<void>
}

/** The door of an agent, and whoever is behind it. */
export async function serveAgent(
  host: HostPort,
  clock: Clock,
  boot = 'boot-1',
  faults: FaultHost = noFaults,
): Promise<RunningAgent> {
  const terms = new Map<string, AgentTerms>()
  const credentials = await credentialsOf({ role: 'host', name: host.id })
  const log = pino({ level: 'silent' })
  const watch = new SelfFence({
    host: unfenced,
    terms,
    ask: async () => 'silence',
    now: () => clock.now(),
    boot,
    log,
  })
  const facts = new FactsReader({ clock, directory: '/tmp' })
  const app = buildAgent({
    host,
    faults,
    clock,
    boot,
    deployments: '/tmp/deployments',
    credentials,
    terms,
    watch,
    facts: () => facts.read(),
    log,
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const reached: RemoteHost[] = []
  return {
    port,
    terms,
    watch,
    reach: (some = {}) => {
      const remote = new RemoteHost({
        id: host.id,
        address: '127.0.0.1',
        port,
        clock,
        credentials: () => controller,
        terms: () => someTerms,
        epochs: () => ({}),
        ...some,
      })
      reached.push(remote)
      return remote
    },
    close: async () => {
      for (const remote of reached) remote.close()
      watch.close()
      await app.close()
    },
  }
}
