/** How an unmodified client connects: the line or the few lines that a person pastes into a program or a shell. */
import type { Endpoint } from './action.ts'
import { formatConnectionString } from './connection-string.ts'
import { HoldfastError } from './error.ts'
import type { Status } from './status.ts'
import { forOne } from './url-for-one.ts'
import { forSentinels } from './url-for-sentinels.ts'
import { authorityFile, tlsWords } from './url-tls.ts'

export const clients = [
  'holdfast',
  'redis',
  'ioredis',
  'node-redis',
  'redis-py',
  'jedis',
  'go-redis',
  'redis-cli',
] as const

export type Client = (typeof clients)[number]

/** Those that are a few lines of a program. */
export type LibraryClient = Exclude<Client, 'holdfast' | 'redis' | 'redis-cli'>

/** What a client must know of a deployment. */
export interface DeploymentFacts {
  readonly topology: Status['topology']
  /** Where to start asking; a client finds the rest itself. The order is kept; outside a Cluster the primary is first. */
  readonly nodes: readonly Endpoint[]
  /** With topology `sentinel`: who knows the primary. They want the same user and password. */
  readonly sentinels: readonly Endpoint[]
  /** What the Sentinels call the primary: the deployment's name. */
  readonly masterName: string
  readonly user: string
  readonly password: string
  /** Where its engines speak TLS: whom to believe, PEM. Absent or null: they speak in clear. */
  readonly authority?: string | null | undefined
}

/** As whom to connect, and whom to believe there. */
export interface UserAccess {
  readonly user: string
  readonly password: string
  readonly authority?: string | null | undefined
}

/** How to reach a deployment as it was seen last. */
export function accessTo(
  { name, topology, nodes, shards, sentinels }: Status,
  credentials: UserAccess,
): DeploymentFacts {
  const where = ({ host, port }: { host: string; port: number }): Endpoint => ({ address: host, port })
  const first = topology === 'cluster' ? undefined : nodes.find(({ id }) => id === shards[0]?.primary)
  const ordered = first === undefined ? nodes : [first, ...nodes.filter((node) => node !== first)]
  return { topology, nodes: ordered.map(where), sentinels: sentinels.map(where), masterName: name, ...credentials }
}

/** The same by the proxy, which looks like one engine. */
export function accessByProxy({ name, proxy }: Status, credentials: UserAccess): DeploymentFacts {
  if (proxy == null) {
    throw new HoldfastError('NOT_FOUND', `${name} has no proxy: write "expose: { proxy: yes }" into its spec first`, {
      name,
    })
  }
  const nodes = [{ address: proxy.host, port: proxy.port }]
  return { topology: 'standalone', nodes, sentinels: [], masterName: name, ...credentials }
}

export function clientNamed(name: string): Client {
  const client = clients.find((known) => known === name)
  if (client === undefined) throw new HoldfastError('USAGE', `--as is one of ${clients.join(', ')}`, { known: clients })
  return client
}

/** The password is `****` unless it is asked for: then the text works as it is. */
export function urlFor(client: Client, facts: DeploymentFacts, { showSecret }: { showSecret: boolean }): string {
  const password = showSecret ? facts.password : '****'
  const [first] = facts.nodes
  if (first === undefined) throw new HoldfastError('NOT_FOUND', 'this deployment has no nodes to connect to')
  if (client === 'holdfast') return holdfastUrl(facts, showSecret)
  if (client === 'redis')
    return `${isSecured(facts) ? 'rediss' : 'redis'}://${inUrl(facts.user)}:${inUrl(password)}@${bracketed(first.address)}:${first.port}`
  if (client === 'redis-cli') {
    const cluster = facts.topology === 'cluster' ? '-c ' : ''
    const secured = isSecured(facts) ? `--tls --cacert ${shellWord(authorityFile(facts))} ` : ''
    return `REDISCLI_AUTH=${shellWord(password)} redis-cli ${secured}${cluster}-h ${first.address} -p ${first.port} --user ${shellWord(facts.user)}`
  }
  switch (facts.topology) {
    case 'cluster':
      return forCluster(client, facts, password)
    case 'sentinel':
      return forSentinels(client, facts, password)
    case 'standalone':
      return forOne(client, first, facts, password)
    default:
      return facts.topology satisfies never
  }
}

const inUrl = encodeURIComponent

const isSecured = ({ authority }: DeploymentFacts): boolean => authority != null

function holdfastUrl(facts: DeploymentFacts, showSecret: boolean): string {
  const { topology, user, password, nodes, sentinels, masterName } = facts
  const isSentinel = topology === 'sentinel'
  return formatConnectionString(
    {
      topology,
      tls: isSecured(facts),
      user,
      password,
      hosts: isSentinel ? sentinels : nodes,
      masterName: isSentinel ? masterName : null,
      db: 0,
      zone: null,
      feed: null,
      ...(isSentinel ? { sentinel: { user, password } } : {}),
    },
    { showSecret },
  )
}

function forCluster(client: LibraryClient, facts: DeploymentFacts, password: string): string {
  const hostPorts = facts.nodes.map(({ address, port }) => `${bracketed(address)}:${port}`)
  const each = (write: (node: Endpoint) => string): string => facts.nodes.map(write).join('\n')
  const [user, secret] = [JSON.stringify(facts.user), JSON.stringify(password)]
  const { head, option } = tlsWords(client, facts)
  const scheme = isSecured(facts) ? 'rediss' : 'redis'
  const also = (text: string): string => (option === '' ? '' : text)
  switch (client) {
    case 'ioredis':
      return `import { Cluster } from 'ioredis'
${head}
const redis = new Cluster(
  [
${each(({ address, port }) => `    { host: ${JSON.stringify(address)}, port: ${port} },`)}
  ],
  { redisOptions: { username: ${user}, password: ${secret}${option} } },
)`
    case 'node-redis':
      return `import { createCluster } from 'redis'
${head}
const cluster = createCluster({
  rootNodes: [
${each(({ address, port }) => `    { url: '${scheme}://${bracketed(address)}:${port}' },`)}
  ],
  defaults: { username: ${user}, password: ${secret}${also(`, socket: { ${option} }`)} },
})
await cluster.connect()`
    case 'redis-py':
      return `from redis.cluster import ClusterNode, RedisCluster

cluster = RedisCluster(
    startup_nodes=[
${each(({ address, port }) => `        ClusterNode(${JSON.stringify(address)}, ${port}),`)}
    ],
    username=${user},
    password=${secret},${also(`\n    ${option},`)}
)`
    case 'jedis':
      return `${head}var nodes = java.util.Set.of(
${facts.nodes.map(({ address, port }) => `    new HostAndPort(${JSON.stringify(address)}, ${port})`).join(',\n')});
var config = DefaultJedisClientConfig.builder().user(${user}).password(${secret})${option}.build();
var cluster = new JedisCluster(nodes, config);`
    case 'go-redis':
      return `${head}cluster := redis.NewClusterClient(&redis.ClusterOptions{
	Addrs: []string{
${hostPorts.map((hostPort) => `		${JSON.stringify(hostPort)},`).join('\n')}
	},
	Username: ${user},
	Password: ${secret},${also(`\n\tTLSConfig: ${option},`)}
})`
    default:
      return client satisfies never
  }
}

const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address)

/** One word of a shell, whatever is in it. */
const shellWord = (text: string): string => (/^[\w.:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)
