import type { Endpoint } from './action.ts'
import type { DeploymentFacts, LibraryClient } from './url-for.ts'
import { tlsWords } from './url-tls.ts'

/** The few lines that connect a program to one engine. */
export function forOne(
  client: LibraryClient,
  { address, port }: Endpoint,
  facts: DeploymentFacts,
  password: string,
): string {
  const [host, name, secret] = [address, facts.user, password].map((text) => JSON.stringify(text))
  const { head, option } = tlsWords(client, facts)
  const also = (text: string): string => (option === '' ? '' : text)
  switch (client) {
    case 'ioredis':
      return `import { Redis } from 'ioredis'
${head}
const redis = new Redis({ host: ${host}, port: ${port}, username: ${name}, password: ${secret}${option} })`
    case 'node-redis':
      return `import { createClient } from 'redis'
${head}
const client = createClient({
  socket: { host: ${host}, port: ${port}${also(`, ${option}`)} },
  username: ${name},
  password: ${secret},
})
await client.connect()`
    case 'redis-py':
      return `from redis import Redis

client = Redis(host=${host}, port=${port}, username=${name}, password=${secret}${also(`, ${option}`)})`
    case 'jedis':
      return `${head}var config = DefaultJedisClientConfig.builder().user(${name}).password(${secret})${option}.build();
var client = new JedisPooled(new HostAndPort(${host}, ${port}), config);`
    case 'go-redis':
      return `${head}client := redis.NewClient(&redis.Options{
	Addr:     ${JSON.stringify(`${address.includes(':') ? `[${address}]` : address}:${port}`)},
	Username: ${name},
	Password: ${secret},${also(`\n\tTLSConfig: ${option},`)}
})`
    default:
      return client satisfies never
  }
}
