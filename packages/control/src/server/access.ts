/** Who may call a route. `either` is a signed-in browser or the command line's token. */
export type Access = 'anyone' | 'either' | 'bearer' | 'session'

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
  'GET /api/v1/session': 'session',
  'DELETE /api/v1/session': 'session',

  'GET /api/v1/hosts': 'either',
  'POST /api/v1/hosts/tokens': 'bearer',
  'DELETE /api/v1/hosts/:host': 'either',

  'POST /api/v1/adoptions': 'bearer',
  'DELETE /api/v1/adoptions/:name': 'either',
  'GET /api/v1/deployments': 'either',
  'GET /api/v1/deployments/:name': 'either',
  'GET /api/v1/deployments/:name/watch': 'either',
  'GET /api/v1/deployments/:name/topology/stream': 'either',
  'GET /api/v1/deployments/:name/spec': 'either',
  'PUT /api/v1/deployments/:name/spec': 'either',
  'POST /api/v1/deployments/:name/wanted': 'either',
  'GET /api/v1/deployments/:name/credentials': 'bearer',
  'GET /api/v1/deployments/:name/incidents': 'either',
  'GET /api/v1/deployments/:name/faults': 'either',
  'POST /api/v1/deployments/:name/faults': 'either',
  'POST /api/v1/deployments/:name/faults/preview': 'either',
  'POST /api/v1/deployments/:name/faults/:id/heal': 'either',
  'POST /api/v1/deployments/:name/operations': 'either',
  'POST /api/v1/deployments/:name/operations/preview': 'either',
  'POST /api/v1/deployments/:name/operations/:id/cancel': 'either',
  'POST /api/v1/deployments/:name/upgrade': 'either',
  'POST /api/v1/deployments/:name/upgrade/preview': 'either',
  'POST /api/v1/deployments/:name/pause': 'either',
  'POST /api/v1/deployments/:name/resume': 'either',
  'POST /api/v1/deployments/:name/nodes/:node/drain': 'either',
  'POST /api/v1/deployments/:name/shards/:shard/degrade': 'either',
  'GET /api/v1/deployments/:name/backups': 'either',
  'POST /api/v1/deployments/:name/backups': 'either',
  'POST /api/v1/deployments/:name/restore': 'either',
  'POST /api/v1/deployments/:name/restore/preview': 'either',
  'POST /api/v1/backups/read': 'either',
  'GET /api/v1/demo': 'either',
  'GET /api/v1/demo/watch': 'either',
  'POST /api/v1/demo/actions': 'either',
  'POST /api/v1/demo/stop-fault': 'either',
  'GET /api/v1/watch': 'either',
  'GET /api/v1/events': 'either',
  'POST /api/v1/plan': 'either',
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
