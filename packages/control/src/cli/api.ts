import type {
  AutoscaleAnswer,
  BackupListed,
  ErrorCode,
  FaultPreview,
  FaultSeen,
  FaultWish,
  HoldfastEvent,
  Ledger,
  Manifest,
  Operation,
  OperationPreview,
  OperationWish,
  RebalancePreview,
  RebalanceWish,
  RestorePreview,
  SpecText,
  Status,
  UserAccess,
} from '@holdfast/core'
import { errorTable, formatDuration, HoldfastError } from '@holdfast/core'
import type { HostLooked, JoinedHost, Removal } from '../hosts/desk.ts'
import type {
  AdoptedNow,
  AdoptWish,
  Applied,
  BackupAsked,
  BackupsListed,
  PlanPreview,
  RestoreAsked,
  UpgradePreview,
  UpgradeWish,
} from '../server/platform.ts'

/** What only reads is answered from memory; what saves may have to fetch an engine before it promises anything. */
const answerWithinMs = 15_000
const saveWithinMs = 300_000

/** Something went wrong inside the controller that should not have: a bug, and no error to handle. */
export class ControllerBug extends Error {}

/** The controller's API, as the command line asks it. */
export class Api {
  readonly url: string
  readonly #token: string

  constructor(url: string, token: string) {
    this.url = url
    this.#token = token
  }

  async names(): Promise<string[]> {
    return (await this.#list()).names
  }

  /** Those that are watched alone. */
  async adoptedNames(): Promise<string[]> {
    return (await this.#list()).adopted
  }

  adopt(wish: Omit<AdoptWish, 'guarded'>): Promise<AdoptedNow> {
    return this.ask('POST', '/adoptions', wish)
  }

  /** Watches an adopted deployment no more. */
  forget(name: string): Promise<void> {
    return this.ask('DELETE', `/adoptions/${encodeURIComponent(name)}`)
  }

  hosts(): Promise<readonly JoinedHost[]> {
    return this.ask<{ hosts: JoinedHost[] }>('GET', '/hosts').then(({ hosts }) => hosts)
  }

  /** One of them, as its machine is now. */
  host(name: string): Promise<HostLooked> {
    return this.ask('GET', `/hosts/${encodeURIComponent(name)}`)
  }

  /** By which a machine may join as this host, once and within the hour. */
  inviteHost(wish: { readonly host: string; readonly zone?: string; readonly region?: string }): Promise<string> {
    return this.ask<{ token: string }>('POST', '/hosts/tokens', wish).then(({ token }) => token)
  }

  /** What letting it go would do. */
  previewRemoval(name: string): Promise<Removal> {
    return this.ask('GET', `/hosts/${encodeURIComponent(name)}/removal`)
  }

  /** From now on what it carries moves to other hosts. */
  emptyHost(name: string): Promise<void> {
    return this.ask('POST', `/hosts/${encodeURIComponent(name)}/removal`)
  }

  removeHost(name: string): Promise<void> {
    return this.ask('DELETE', `/hosts/${encodeURIComponent(name)}`)
  }

  status(name: string): Promise<Status> {
    return this.ask('GET', `/deployments/${encodeURIComponent(name)}`)
  }

  spec(name: string): Promise<{ spec: SpecText; revision: number }> {
    return this.ask('GET', `/deployments/${encodeURIComponent(name)}/spec`)
  }

  plan(spec: unknown, { acceptEviction = false } = {}): Promise<PlanPreview> {
    return this.ask('POST', '/plan', { spec, acceptEviction })
  }

  apply(name: string, spec: unknown, baseRevision: number | null, { acceptEviction = false } = {}): Promise<Applied> {
    return this.ask('PUT', `/deployments/${encodeURIComponent(name)}/spec`, { spec, baseRevision, acceptEviction })
  }

  setWanted(
    name: string,
    wanted: 'up' | 'down',
    options: { purge?: boolean; acceptDataLoss?: boolean } = {},
  ): Promise<void> {
    const { purge = false, acceptDataLoss = false } = options
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/wanted`, { wanted, purge, acceptDataLoss })
  }

  credentials(name: string, user = 'app'): Promise<UserAccess> {
    return this.ask('GET', `/deployments/${encodeURIComponent(name)}/credentials?user=${encodeURIComponent(user)}`)
  }

  events(name: string, limit: number): Promise<HoldfastEvent[]> {
    const query = `deployment=${encodeURIComponent(name)}&limit=${limit}`
    return this.ask<{ events: HoldfastEvent[] }>('GET', `/events?${query}`).then(({ events }) => events)
  }

  /** What was measured, and what would be done about the size now. */
  autoscale(name: string): Promise<AutoscaleAnswer> {
    return this.ask('GET', `/deployments/${encodeURIComponent(name)}/autoscale`)
  }

  /** Incidents and availability since a time, ms since 1970. */
  incidents(name: string, since: number): Promise<Ledger> {
    return this.ask('GET', `/deployments/${encodeURIComponent(name)}/incidents?since=${since}`)
  }

  /** What a fault would do now, and what stands against it; does nothing. */
  previewFault(name: string, wish: FaultWish): Promise<FaultPreview> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/faults/preview`, wish)
  }

  /** Answers once the fault is there. Throws REFUSED_DRILL with what stands against it. */
  injectFault(name: string, wish: FaultWish): Promise<FaultSeen> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/faults`, wish)
  }

  /** The faults that last and the latest of those that are over, the newest first. */
  faults(name: string): Promise<FaultSeen[]> {
    return this.ask<{ faults: FaultSeen[] }>('GET', `/deployments/${encodeURIComponent(name)}/faults`).then(
      ({ faults }) => faults,
    )
  }

  /** Heals it before its own timer does; answers once that is done. */
  healFault(name: string, id: string): Promise<FaultSeen> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/faults/${encodeURIComponent(id)}/heal`)
  }

  backups(name: string): Promise<BackupsListed> {
    return this.ask('GET', `/deployments/${encodeURIComponent(name)}/backups`)
  }

  askBackup(name: string, wish: BackupAsked): Promise<Operation> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/backups`, wish)
  }

  readBackup(from: string): Promise<{ manifest: Manifest; state: BackupListed['state']; because: string }> {
    return this.ask('POST', '/backups/read', { from })
  }

  previewRestore(name: string, from: string): Promise<RestorePreview> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/restore/preview`, { from })
  }

  askRestore(name: string, wish: RestoreAsked): Promise<Operation> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/restore`, wish)
  }

  /** What an operation would do now, and what speaks against it; changes nothing. */
  previewOperation(name: string, wish: OperationWish): Promise<OperationPreview> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/operations/preview`, wish)
  }

  /** How slots would be shared out anew, and why; changes nothing. */
  previewRebalance(name: string, { by, weights }: RebalanceWish): Promise<RebalancePreview> {
    const list = [...weights].map(([shard, weight]) => `${shard}:${weight}`).join(',')
    const query = `by=${by}${list === '' ? '' : `&weights=${encodeURIComponent(list)}`}`
    return this.ask('GET', `/deployments/${encodeURIComponent(name)}/rebalance?${query}`)
  }

  /** Answers once it is asked for, and not once it is done. Asking twice by one id asks once. */
  askOperation(name: string, wish: OperationWish): Promise<Operation> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/operations`, wish)
  }

  /** Answers once the engine is found, which may have to be fetched. */
  previewUpgrade(name: string, engine: SpecText): Promise<UpgradePreview> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/upgrade/preview`, { engine })
  }

  upgrade(name: string, wish: UpgradeWish): Promise<Operation> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/upgrade`, wish)
  }

  cancelOperation(name: string, id: string): Promise<Operation> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/operations/${encodeURIComponent(id)}/cancel`)
  }

  pause(name: string, because: string, until: number | null): Promise<void> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/pause`, { because, until })
  }

  resume(name: string): Promise<void> {
    return this.ask('POST', `/deployments/${encodeURIComponent(name)}/resume`)
  }

  /** `because` null: it takes no write without a copy again. */
  setDegraded(name: string, shard: string, because: string | null): Promise<void> {
    const path = `/deployments/${encodeURIComponent(name)}/shards/${encodeURIComponent(shard)}/degrade`
    return this.ask('POST', path, { because })
  }

  setDrained(name: string, node: string, drained: boolean): Promise<void> {
    const path = `/deployments/${encodeURIComponent(name)}/nodes/${encodeURIComponent(node)}/drain`
    return this.ask('POST', path, { drained })
  }

  async #list(): Promise<{ names: string[]; adopted: string[] }> {
    const { deployments, notSeenYet, adopted } = await this.ask<{
      deployments: Status[]
      notSeenYet: string[]
      adopted: string[]
    }>('GET', '/deployments')
    return { names: [...deployments.map(({ name }) => name), ...notSeenYet].sort(), adopted }
  }

  /** Any route below `/api/v1`. Throws what the controller refused, or UNREACHABLE_CONTROLLER. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const withinMs = method === 'GET' ? answerWithinMs : saveWithinMs
    try {
      const response = await fetch(`${this.url}/api/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(withinMs),
      })
      const answer: unknown = await response.json()
      if (!response.ok) throw asError(answer, response.status)
      return answer as T
    } catch (error) {
      if (error instanceof HoldfastError || error instanceof ControllerBug) throw error
      const isLate = error instanceof Error && error.name === 'TimeoutError'
      const how = isLate ? `did not answer within ${formatDuration(withinMs)}` : 'does not answer any more'
      throw new HoldfastError(
        'UNREACHABLE_CONTROLLER',
        `the controller at ${this.url} ${how}. Engines run on without it; "holdfast serve" starts one that keeps them up.`,
        { url: this.url },
        error,
      )
    }
  }
}

/** The controller's refusal, as the same error that it threw. */
function asError(answer: unknown, status: number): Error {
  const { code, message, facts } =
    (answer as { error?: { code?: string; message?: string; facts?: Record<string, unknown> } } | null)?.error ?? {}
  if (code === 'INTERNAL') return new ControllerBug(message)
  const known = code !== undefined && Object.hasOwn(errorTable, code)
  return new HoldfastError(
    known ? (code as ErrorCode) : 'UNREACHABLE_CONTROLLER',
    message ?? `the controller answered with status ${status}`,
    facts ?? {},
  )
}
