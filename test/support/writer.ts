import { setTimeout as delay } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import type { TestDeployment } from './deployment.ts'

/** An unmodified ioredis cluster client that writes unique keys and remembers which were acknowledged. */
export class Writer {
  readonly acked: string[] = []
  readonly ackedAt: number[] = []
  failed = 0
  readonly #client: Cluster
  #stopped = false
  #running: Promise<unknown>

  constructor(deployment: TestDeployment, lanes = 4) {
    const nodes = deployment.status().nodes.map(({ host, port }) => ({ host, port }))
    this.#client = new Cluster(nodes, {
      redisOptions: { username: 'app', password: deployment.password, commandTimeout: 1000 },
    })
    this.#client.on('error', () => {})
    this.#running = Promise.all(Array.from({ length: lanes }, (_, lane) => this.#write(lane)))
  }

  get client(): Cluster {
    return this.#client
  }

  /** The longest time without any acknowledgement, in ms. */
  get longestGapMs(): number {
    return Math.max(0, ...this.ackedAt.map((at, index) => at - (this.ackedAt[index - 1] ?? at)))
  }

  /** Ends writing; answers the acknowledged keys that cannot be read back. */
  async stop(): Promise<string[]> {
    this.#stopped = true
    await this.#running
    const missing: string[] = []
    for (const key of this.acked) if ((await this.#client.get(key)) === null) missing.push(key)
    return missing
  }

  close(): void {
    this.#stopped = true
    this.#client.disconnect()
  }

  async #write(lane: number): Promise<void> {
    for (let count = 0; !this.#stopped; count++) {
      const key = `w:${lane}:${count}`
      try {
        await this.#client.set(key, 'x')
        this.acked.push(key)
        this.ackedAt.push(performance.now())
      } catch {
        this.failed++
      }
      await delay(2)
    }
  }
}
