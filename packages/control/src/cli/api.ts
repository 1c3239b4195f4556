import type { ErrorCode, HoldfastEvent, SpecText, Status } from '@holdfast/core'
import { errorTable, HoldfastError } from '@holdfast/core'
import type { Applied, PlanPreview } from '../server/platform.ts'

/** The controller's API, as the command line asks it. */
export class Api {
  readonly url: string
  readonly #token: string

  constructor(url: string, token: string) {
    this.url = url
    this.#token = token
  }

  names(): Promise<string[]> {
    return this.#ask<{ deployments: Status[]; notSeenYet: string[] }>('GET', '/deployments').then(
      ({ deployments, notSeenYet }) => [...deployments.map(({ name }) => name), ...notSeenYet].sort(),
    )
  }

  status(name: string): Promise<Status> {
    return this.#ask('GET', `/deployments/${name}`)
  }

  spec(name: string): Promise<{ spec: SpecText; revision: number }> {
    return this.#ask('GET', `/deployments/${name}/spec`)
  }

  plan(spec: unknown): Promise<PlanPreview> {
    return this.#ask('POST', '/plan', { spec })
  }

  apply(name: string, spec: unknown, baseRevision: number | null): Promise<Applied> {
    return this.#ask('PUT', `/deployments/${name}/spec`, { spec, baseRevision })
  }

  setWanted(
    name: string,
    wanted: 'up' | 'down',
    options: { purge?: boolean; acceptDataLoss?: boolean } = {},
  ): Promise<void> {
    const { purge = false, acceptDataLoss = false } = options
    return this.#ask('POST', `/deployments/${name}/wanted`, { wanted, purge, acceptDataLoss })
  }

  credentials(name: string): Promise<{ user: string; password: string }> {
    return this.#ask('GET', `/deployments/${name}/credentials`)
  }

  events(name: string, limit: number): Promise<HoldfastEvent[]> {
    const query = `deployment=${encodeURIComponent(name)}&limit=${limit}`
    return this.#ask<{ events: HoldfastEvent[] }>('GET', `/events?${query}`).then(({ events }) => events)
  }

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(120_000),
    }).catch((error: unknown) => {
      throw new HoldfastError(
        'UNREACHABLE_CONTROLLER',
        `the controller at ${this.url} does not answer: is it stopped? See "holdfast status"`,
        { url: this.url },
        error,
      )
    })
    const answer: unknown = await response.json()
    if (!response.ok) throw asError(answer, response.status)
    return answer as T
  }
}

/** The controller's refusal, as the same error that it threw. */
function asError(answer: unknown, status: number): HoldfastError {
  const { code, message, facts } =
    (answer as { error?: { code?: string; message?: string; facts?: Record<string, unknown> } }).error ?? {}
  const known = code !== undefined && code in errorTable
  return new HoldfastError(
    known ? (code as ErrorCode) : 'UNREACHABLE_CONTROLLER',
    message ?? `the controller answered with status ${status}`,
    facts ?? {},
  )
}
