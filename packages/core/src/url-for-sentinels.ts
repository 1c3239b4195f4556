import type { Endpoint } from './action.ts'
import type { DeploymentFacts, LibraryClient } from './url-for.ts'
import { authorityFile, tlsWords } from './url-tls.ts'

/** The few lines by which a program finds the primary through the Sentinels, which want a user and a password too. */
export function forSentinels(client: LibraryClient, facts: DeploymentFacts, password: string): string {
  const each = (write: (node: Endpoint) => string): string => facts.sentinels.map(write).join('\n')
  const [user, secret, name] = [facts.user, password, facts.masterName].map((text) => JSON.stringify(text))
  const { head, option } = tlsWords(client, facts)
  const also = (text: string): string => (option === '' ? '' : text)
  switch (client) {
    case 'ioredis':
      return `import { Redis } from 'ioredis'
${head}
const redis = new Redis({
  sentinels: [
${each(({ address, port }) => `    { host: ${JSON.stringify(address)}, port: ${port} },`)}
  ],
  name: ${name},
  sentinelUsername: ${user},
  sentinelPassword: ${secret},
  username: ${user},
  password: ${secret},${also('\n  enableTLSForSentinelMode: true,\n  sentinelTLS: { ca },\n  tls: { ca },')}
})`
    case 'node-redis':
      return `import { createSentinel } from 'redis'
${head}
const client = createSentinel({
  name: ${name},
  sentinelRootNodes: [
${each(({ address, port }) => `    { host: ${JSON.stringify(address)}, port: ${port} },`)}
  ],
  sentinelClientOptions: { username: ${user}, password: ${secret}${also(`, socket: { ${option} }`)} },
  nodeClientOptions: { username: ${user}, password: ${secret}${also(`, socket: { ${option} }`)} },
})
await client.connect()`
    case 'redis-py':
      return `from redis.sentinel import Sentinel
${also(`\nca = ${JSON.stringify(authorityFile(facts))}`)}
sentinel = Sentinel(
    [
${each(({ address, port }) => `        (${JSON.stringify(address)}, ${port}),`)}
    ],
    sentinel_kwargs={"username": ${user}, "password": ${secret}${also(', "ssl": True, "ssl_ca_certs": ca')}},${also('\n    ssl=True, ssl_ca_certs=ca,')}
)
primary = sentinel.master_for(${name}, username=${user}, password=${secret})`
    case 'jedis':
      return `${head}var sentinels = java.util.Set.of(
${facts.sentinels.map(({ address, port }) => `    new HostAndPort(${JSON.stringify(address)}, ${port})`).join(',\n')});
var config = DefaultJedisClientConfig.builder().user(${user}).password(${secret})${option}.build();
var client = new JedisSentineled(${name}, config, sentinels, config);`
    case 'go-redis':
      return `${head}client := redis.NewFailoverClient(&redis.FailoverOptions{
	MasterName: ${name},
	SentinelAddrs: []string{
${each(({ address, port }) => `		${JSON.stringify(`${address.includes(':') ? `[${address}]` : address}:${port}`)},`)}
	},
	SentinelUsername: ${user},
	SentinelPassword: ${secret},
	Username:         ${user},
	Password:         ${secret},${also(`\n\tTLSConfig:        ${option},`)}
})`
    default:
      return client satisfies never
  }
}
