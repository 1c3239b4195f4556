import type { Endpoint } from './action.ts'
import type { LibraryClient } from './url-for.ts'

/** The few lines that connect a program to one engine. */
export function forOne(
  client: LibraryClient,
  { address, port }: Endpoint,
  { user, password }: { readonly user: string; readonly password: string },
): string {
  const [host, name, secret] = [address, user, password].map((text) => JSON.stringify(text))
  switch (client) {
    case 'ioredis':
      return `import { Redis } from 'ioredis'

const redis = new Redis({ host: ${host}, port: ${port}, username: ${name}, password: ${secret} })`
    case 'node-redis':
      return `import { createClient } from 'redis'

const client = createClient({
  socket: { host: ${host}, port: ${port} },
  username: ${name},
  password: ${secret},
})
await client.connect()`
    case 'redis-py':
      return `from redis import Redis

client = Redis(host=${host}, port=${port}, username=${name}, password=${secret})`
    case 'jedis':
      return `var config = DefaultJedisClientConfig.builder().user(${name}).password(${secret}).build();
var client = new JedisPooled(new HostAndPort(${host}, ${port}), config);`
    case 'go-redis':
      return `client := redis.NewClient(&redis.Options{
	Addr:     ${JSON.stringify(`${address.includes(':') ? `[${address}]` : address}:${port}`)},
	Username: ${name},
	Password: ${secret},
})`
    default:
      return client satisfies never
  }
}
