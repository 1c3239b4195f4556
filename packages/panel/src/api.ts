import type { DemoAction, DemoState, Grant, HoldfastEvent, Ledger, Status } from '@holdfast/core'

const base = '/api/v1'

/** What the API answers instead of what was asked for. */
export class ApiError extends Error {
  readonly status: number
  readonly retryAfterS: number | undefined

  constructor(status: number, message: string, retryAfterS?: number) {
    super(message)
    this.status = status
    this.retryAfterS = retryAfterS
  }
}

export interface SessionInfo {
  readonly user: string
  readonly grants: readonly Grant[]
  readonly endsInMs: number
  /** Whether a demonstration runs here. */
  readonly demo: boolean
}

export interface DeploymentList {
  readonly deployments: readonly Status[]
  readonly notSeenYet: readonly string[]
}

/** What was done, in one sentence. */
interface Done {
  readonly did: string
}

export const api = {
  session: () => request<SessionInfo>('GET', '/session'),
  signIn: (user: string, password: string) => request<SessionInfo>('POST', '/session', { user, password }),
  signOut: () => request<undefined>('DELETE', '/session'),
  deployments: () => request<DeploymentList>('GET', '/deployments'),
  deployment: (name: string) => request<Status>('GET', `/deployments/${encodeURIComponent(name)}`),
  /** Of the last thirty days. */
  incidents: (name: string) => request<Ledger>('GET', `/deployments/${encodeURIComponent(name)}/incidents`),
  /** Events after a seq, or the last ones: oldest first. */
  events: (name: string, after: number | null) =>
    request<{ readonly events: readonly HoldfastEvent[] }>(
      'GET',
      `/events?deployment=${encodeURIComponent(name)}&limit=1000${after === null ? '' : `&after=${after}`}`,
    ),
  demo: () => request<DemoState>('GET', '/demo'),
  press: (action: DemoAction) => request<Done>('POST', '/demo/actions', { action }),
  stopFault: () => request<Done>('POST', '/demo/stop-fault'),
}

export const streams = {
  all: () => `${base}/watch`,
  demo: () => `${base}/demo/watch`,
  deployment: (name: string) => `${base}/deployments/${encodeURIComponent(name)}/watch`,
  /** `after` goes on where an earlier stream of this page stopped. */
  events: (name: string, after: string) =>
    `${base}/events?deployment=${encodeURIComponent(name)}&limit=200${after === '' ? '' : `&after=${after}`}`,
}

async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(base + path, {
    method,
    headers: {
      accept: 'application/json',
      'x-requested-by': 'holdfast',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(15_000),
  })
  const text = await answer.text()
  if (!answer.ok) throw new ApiError(answer.status, messageOf(text), retryAfterOf(answer))
  const value: T = text === '' ? undefined : JSON.parse(text)
  return value
}

function messageOf(text: string): string {
  try {
    const message: unknown = JSON.parse(text)?.error?.message
    return typeof message === 'string' ? message : 'the server said no'
  } catch {
    return 'the server did not answer as expected'
  }
}

function retryAfterOf(answer: Response): number | undefined {
  const header = answer.headers.get('retry-after')
  return header === null ? undefined : Number(header)
}
