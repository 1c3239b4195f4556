/** How an unmodified client connects: the line or the few lines that a person pastes into a program or a shell. */
import type { Endpoint } from './action.ts'
import { formatConnectionString } from './connection-string.ts'
import { HoldfastError } from './error.ts'

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

/** What a client must know of a deployment: a cluster without TLS, which is what there is so far. */
export interface DeploymentFacts {
  /** Where to start asking; a client finds the rest itself. The order is kept. */
  readonly nodes: readonly Endpoint[]
  readonly user: string
  readonly password: string
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
  const hostPorts = facts.nodes.map(({ address, port }) => `${bracketed(address)}:${port}`)
  const each = (write: (node: Endpoint) => string): string => facts.nodes.map(write).join('\n')
  const [user, secret] = [JSON.stringify(facts.user), JSON.stringify(password)]
  switch (client) {
    case 'holdfast':
      return formatConnectionString(
        {
          topology: 'cluster',
          tls: false,
          user: facts.user,
          password: facts.password,
          hosts: facts.nodes,
          masterName: null,
          db: 0,
          zone: null,
          feed: null,
        },
        { showSecret },
      )
    case 'redis':
      return `redis://${encodeURIComponent(facts.user)}:${encodeURIComponent(password)}@${hostPorts[0]}`
    case 'redis-cli':
      return `REDISCLI_AUTH=${shellWord(password)} redis-cli -c -h ${first.address} -p ${first.port} --user ${shellWord(facts.user)}`
    case 'ioredis':
      return `import { Cluster } from 'ioredis'

const redis = new Cluster(
  [
${each(({ address, port }) => `    { host: ${JSON.stringify(address)}, port: ${port} },`)}
  ],
  { redisOptions: { username: ${user}, password: ${secret} } },
)`
    case 'node-redis':
      return `import { createCluster } from 'redis'

const cluster = createCluster({
  rootNodes: [
${each(({ address, port }) => `    { url: 'redis://${bracketed(address)}:${port}' },`)}
  ],
  defaults: { username: ${user}, password: ${secret} },
})
await cluster.connect()`
    case 'redis-py':
      return `from redis.cluster import ClusterNode, RedisCluster

cluster = RedisCluster(
    startup_nodes=[
${each(({ address, port }) => `        ClusterNode(${JSON.stringify(address)}, ${port}),`)}
    ],
    username=${user},
    password=${secret},
)`
    case 'jedis':
      return `var nodes = java.util.Set.of(
${facts.nodes.map(({ address, port }) => `    new HostAndPort(${JSON.stringify(address)}, ${port})`).join(',\n')});
var config = DefaultJedisClientConfig.builder().user(${user}).password(${secret}).build();
var cluster = new JedisCluster(nodes, config);`
    case 'go-redis':
      return `cluster := redis.NewClusterClient(&redis.ClusterOptions{
	Addrs: []string{
${hostPorts.map((hostPort) => `		${JSON.stringify(hostPort)},`).join('\n')}
	},
	Username: ${user},
	Password: ${secret},
})`
    default:
      return client satisfies never
  }
}

const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address)

/** One word of a shell, whatever is in it. */
const shellWord = (text: string): string => (/^[\w.:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)
