import type { Fields } from './body.ts'
import { isObject } from './body.ts'

/**
 * Who may call a route. A role is meant on the deployment that the address names, or, where it names none, on all of
 * them.
 * - `anyone`: nobody signs in for it.
 * - `browser`: a person who is signed in, whatever his role.
 * - `some`: whoever has a role on anything; the answer has only what he may see.
 * - `feed`: a viewer, and also a token that is for the topology feed and nothing else.
 * - `admin program`: an administrator's token or the command line, but no browser.
 * - `command line`: whoever can read this home.
 */
export type Access =
  | 'anyone'
  | 'browser'
  | 'some'
  | 'feed'
  | 'viewer'
  | 'operator'
  | 'admin'
  | 'admin program'
  | 'command line'

/**
 * The only place that says who may call what. A route that is not here cannot be registered: the server does not
 * start. A line that no route has fails a test.
 */
export const accessTable: Readonly<Record<string, Access>> = {
  'GET /healthz': 'anyone',
  'GET /health/:name/:node/:question': 'anyone',
  'HEAD /health/:name/:node/:question': 'anyone',
  'OPTIONS /health/:name/:node/:question': 'anyone',

  'GET /': 'anyone',
  'GET /login': 'anyone',
  'GET /d/:name': 'anyone',
  'GET /d/:name/incidents': 'anyone',
  'GET /demo': 'anyone',
  'GET /assets/*': 'anyone',
  'HEAD /assets/*': 'anyone',

  'POST /api/v1/session': 'anyone',
  'GET /api/v1/session': 'browser',
  'DELETE /api/v1/session': 'browser',

  'GET /api/v1/users': 'admin',
  'POST /api/v1/users': 'admin',
  'DELETE /api/v1/users/:user': 'admin',
  'POST /api/v1/users/:user/password': 'admin',
  'PUT /api/v1/users/:user/role': 'admin',
  'GET /api/v1/api-tokens': 'admin',
  'POST /api/v1/api-tokens': 'admin',
  'DELETE /api/v1/api-tokens/:token': 'admin',
  'GET /api/v1/audit': 'admin',
  'GET /api/v1/audit/verdict': 'admin',
  'GET /api/v1/allowed-targets': 'admin',
  'POST /api/v1/allowed-targets': 'command line',
  'DELETE /api/v1/allowed-targets/:target': 'command line',

  'GET /api/v1/hosts': 'viewer',
  'GET /api/v1/hosts/:host': 'viewer',
  'GET /api/v1/hosts/:host/removal': 'viewer',
  'POST /api/v1/hosts/:host/removal': 'admin',
  'POST /api/v1/hosts/tokens': 'admin',
  'DELETE /api/v1/hosts/:host': 'admin',

  'POST /api/v1/adoptions': 'admin',
  'DELETE /api/v1/adoptions/:name': 'admin',
  'GET /api/v1/deployments': 'some',
  'GET /api/v1/deployments/:name': 'viewer',
  'GET /api/v1/deployments/:name/watch': 'viewer',
  'GET /api/v1/deployments/:name/topology/stream': 'feed',
  'GET /api/v1/deployments/:name/spec': 'viewer',
  'PUT /api/v1/deployments/:name/spec': 'operator',
  'POST /api/v1/deployments/:name/wanted': 'operator',
  'GET /api/v1/deployments/:name/credentials': 'admin program',
  'GET /api/v1/deployments/:name/autoscale': 'viewer',
  'GET /api/v1/deployments/:name/incidents': 'viewer',
  'GET /api/v1/deployments/:name/faults': 'viewer',
  'POST /api/v1/deployments/:name/faults': 'admin',
  'POST /api/v1/deployments/:name/faults/preview': 'viewer',
  'POST /api/v1/deployments/:name/faults/:id/heal': 'admin',
  'POST /api/v1/deployments/:name/operations': 'operator',
  'POST /api/v1/deployments/:name/operations/preview': 'viewer',
  'POST /api/v1/deployments/:name/operations/:id/cancel': 'operator',
  'GET /api/v1/deployments/:name/rebalance': 'viewer',
  'POST /api/v1/deployments/:name/upgrade': 'operator',
  'POST /api/v1/deployments/:name/upgrade/preview': 'operator',
  'POST /api/v1/deployments/:name/pause': 'operator',
  'POST /api/v1/deployments/:name/resume': 'operator',
  'POST /api/v1/deployments/:name/nodes/:node/drain': 'operator',
  'POST /api/v1/deployments/:name/shards/:shard/degrade': 'operator',
  'GET /api/v1/deployments/:name/backups': 'viewer',
  'POST /api/v1/deployments/:name/backups': 'operator',
  'POST /api/v1/deployments/:name/restore': 'admin',
  'POST /api/v1/deployments/:name/restore/preview': 'admin',
  'POST /api/v1/backups/read': 'admin',
  'GET /api/v1/demo': 'viewer',
  'GET /api/v1/demo/watch': 'viewer',
  'POST /api/v1/demo/actions': 'admin',
  'POST /api/v1/demo/stop-fault': 'admin',
  'GET /api/v1/watch': 'some',
  'GET /api/v1/events': 'some',
  'POST /api/v1/plan': 'operator',
}

/** What is asked by POST because it needs a body, and changes nothing. */
const questions: readonly string[] = [
  'POST /api/v1/deployments/:name/faults/preview',
  'POST /api/v1/deployments/:name/operations/preview',
  'POST /api/v1/deployments/:name/upgrade/preview',
  'POST /api/v1/deployments/:name/restore/preview',
  'POST /api/v1/backups/read',
  'POST /api/v1/plan',
]

/** What only reads, and is written down all the same: who has read a password can use it. */
const tellsSecrets: readonly string[] = ['GET /api/v1/deployments/:name/credentials']

/** Whether every call of it is written into the audit log. */
export const isAudited = (route: string): boolean =>
  tellsSecrets.includes(route) || (/^(POST|PUT|DELETE) \/api\//.test(route) && !questions.includes(route))

/** Where the body and not the address says which deployment is meant. */
export function namedInBody(route: string, body: unknown): string | undefined {
  if (route !== 'POST /api/v1/plan') return undefined
  const name = isObject(body) && isObject(body['spec']) ? body['spec']['name'] : undefined
  return typeof name === 'string' ? name : ''
}

/**
 * What in a body takes an administrator where the route itself takes less, in words; null: nothing. `before` is the
 * spec as it is, where there is one.
 */
export function raisedBy(route: string, body: unknown, before: Fields | undefined): string | null {
  if (!isObject(body)) return null
  switch (route) {
    case 'PUT /api/v1/deployments/:name/spec':
    case 'POST /api/v1/plan':
      return isObject(body['spec']) ? guardedChange(body['spec'], before ?? {}) : null
    case 'POST /api/v1/deployments/:name/wanted':
      if (body['purge'] === true) return 'deleting its data'
      return body['acceptDataLoss'] === true ? 'accepting that data is lost' : null
    case 'POST /api/v1/deployments/:name/operations':
      return body['kind'] === 'rotate' ? 'changing passwords' : null
    case 'POST /api/v1/deployments/:name/upgrade':
    case 'POST /api/v1/deployments/:name/upgrade/preview':
      return isObject(body['engine']) && 'path' in body['engine'] ? 'naming a program to run (engine.path)' : null
    case 'POST /api/v1/deployments/:name/backups':
      return (body['to'] ?? null) === null ? null : 'writing to another directory'
    default:
      return null
  }
}

/** By these a spec names programs, files and addresses of the host, or lets somebody in. */
const guardedFields = ['engine', 'config', 'security', 'hosts', 'expose', 'backup', 'notify'] as const

function guardedChange(after: Fields, before: Fields): string | null {
  const changed = guardedFields.find((field) => JSON.stringify(after[field]) !== JSON.stringify(before[field]))
  return changed === undefined ? null : `changing ${changed} in a spec`
}

/**
 * What may be asked about a deployment that somebody else runs. All other routes that name one are refused, those that
 * nobody has thought of yet as well.
 */
const readsAdopted: readonly string[] = [
  'GET /api/v1/deployments/:name',
  'GET /api/v1/deployments/:name/watch',
  'GET /api/v1/deployments/:name/topology/stream',
  'DELETE /api/v1/adoptions/:name',
]

export const mayReadAdopted = (method: string, url: string): boolean => readsAdopted.includes(`${method} ${url}`)

export const accessOf = (method: string, url: string): Access | undefined =>
  Object.hasOwn(accessTable, `${method} ${url}`) ? accessTable[`${method} ${url}`] : undefined
