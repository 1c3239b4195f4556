// @ts-check
/** Fills a cluster with keys, in a process of its own, and says so. */
import ioredis from 'ioredis'

const atOnce = 500

process.on('message', (/** @type {Fill} */ message) => {
  void fill(message).then(() => process.send?.('filled'))
})

/**
 * @typedef {{ ports: number[], username: string, password: string, keys: number, valueBytes: number }} Fill
 * @param {Fill} fill
 */
async function fill({ ports, username, password, keys, valueBytes }) {
  const client = new ioredis.Cluster(
    ports.map((port) => ({ host: '127.0.0.1', port })),
    password === '' ? {} : { redisOptions: { username, password } },
  )
  const value = 'x'.repeat(valueBytes)
  for (let from = 0; from < keys; from += atOnce) {
    const some = Array.from({ length: Math.min(atOnce, keys - from) }, (_, at) => from + at)
    await Promise.all(some.map((at) => client.set(`key:${at}`, value)))
  }
  client.disconnect()
}
