import { Cluster, Redis } from 'ioredis'
import type { DrillClient, Where, Wrote } from './client.ts'
import { done, keysLiveMs } from './client.ts'

/** ioredis as most programs use it: nothing set but where and who. A call to a frozen node has no end. */
export const plainIoredis = (where: Where): DrillClient => new IoredisClient(where, {})

/** ioredis with the two timeouts that its operators learn to set. */
export const ioredisWithTimeouts = (where: Where): DrillClient =>
  new IoredisClient(where, { commandTimeout: 500, connectTimeout: 300 })

interface Timeouts {
  readonly commandTimeout?: number
  readonly connectTimeout?: number
}

class IoredisClient implements DrillClient {
  readonly #redis: Cluster | Redis
  /** Connections that were lost so far. Commands on them were sent again, and nobody knows of the first try. */
  #losses = 0

  constructor(where: Where, timeouts: Timeouts) {
    this.#redis = open(where, timeouts)
    // Each failure reaches the call that it concerns; without a listener it would end the process, too.
    this.#redis.on('error', () => {})
    if (this.#redis instanceof Redis) this.#redis.on('close', () => this.#losses++)
    else {
      this.#redis.on('+node', (node: { on(event: 'close', listener: () => void): unknown }) => {
        node.on('close', () => this.#losses++)
      })
    }
  }

  key(tag: string, name: string): string {
    return `${tag}${name}`
  }

  async write(tag: string, name: string, value: string): Promise<Wrote> {
    const lossesBefore = this.#losses
    try {
      await this.#redis.set(this.key(tag, name), value, 'PX', keysLiveMs)
      return done
    } catch (error) {
      const isCertain = isRefusal(error) && this.#losses === lossesBefore
      return { outcome: isCertain ? 'failed' : 'indeterminate', said: wordsOf(error) }
    }
  }

  close(): void {
    this.#redis.disconnect()
  }
}

function open(
  { topology, nodes, sentinels, masterName, user, password, authority }: Where,
  timeouts: Timeouts,
): Cluster | Redis {
  const hosts = ({ address, port }: Where['nodes'][number]) => ({ host: address, port })
  const tls = authority == null ? {} : { tls: { ca: authority } }
  const terms = { username: user, password, ...tls, ...timeouts }
  if (topology === 'cluster') return new Cluster(nodes.map(hosts), { redisOptions: terms })
  if (topology === 'standalone') return new Redis({ ...nodes.map(hosts)[0], ...terms })
  const secured = authority == null ? {} : { enableTLSForSentinelMode: true, sentinelTLS: { ca: authority } }
  const guards = { sentinels: sentinels.map(hosts), sentinelUsername: user, sentinelPassword: password, ...secured }
  return new Redis({ ...guards, name: masterName, ...terms })
}

/** The engine's own answer that it did not do it. A timeout, a lost connection or too many redirections are none. */
const isRefusal = (error: unknown): boolean => error instanceof Error && error.name === 'ReplyError'

const saidMax = 100

const wordsOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0]?.slice(0, saidMax) ?? ''
