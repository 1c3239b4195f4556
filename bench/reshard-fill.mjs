// @ts-check
/** Fills a cluster with keys, in a process of its own, and says so. */
import ioredis from 'ioredis'

const atOnce = 500

process.on(
  'message',
  async (/** @type {{ ports: number[], keys: number, valueBytes: number }} */ { ports, keys, valueBytes }) => {
    const client = new ioredis.Cluster(ports.map((port) => ({ host: '127.0.0.1', port })))
    const value = 'x'.repeat(valueBytes)
    for (let from = 0; from < keys; from += atOnce) {
      await Promise.all(
        Array.from({ length: Math.min(atOnce, keys - from) }, (_, at) => client.set(`key:${from + at}`, value)),
      )
    }
    client.disconnect()
    process.send?.('filled')
  },
)
