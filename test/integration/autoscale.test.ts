import { Cluster } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

/*
 * A deployment that grows while somebody writes more than it holds, and shrinks when he stops: its keys live for some
 * seconds, so that what was written goes by itself. The windows are as short as a spec allows.
 */
let it: TestDeployment
let client: Cluster
const errors: unknown[] = []
const over = new AbortController()
let writing: Promise<unknown>

const megabyte = 1024 * 1024
const ttlSeconds = 12
/** What is there at any time: more than 70 % of what five shards hold. */
const heldBytes = 110 * megabyte
const valueBytes = 16 * 1024

beforeAll(async () => {
  it = await TestDeployment.up({
    memory: { maxPerNode: '24mb', policy: 'allkeys-lru' },
    persistence: 'none',
    autoscale: {
      out: { memoryAbove: '70% force', for: '3s' },
      in: { bothBelow: '40%', for: '4s' },
      coolDown: '1s',
      sampleEvery: '1s',
    },
  })
  const { user, password } = it.access
  const nodes = it.status().nodes.map(({ host, port }) => ({ host, port }))
  client = new Cluster(nodes, { redisOptions: { username: user, password } })
  client.on('error', () => {})
}, 60_000)

afterAll(async () => {
  over.abort()
  await writing
  client?.disconnect()
  await it?.close()
})

/** Writes until it is over, as much in a second as has to be there for `ttlSeconds`. */
async function write(): Promise<void> {
  const value = Buffer.alloc(valueBytes, 'x')
  const beganAt = performance.now()
  for (let at = 0; !over.signal.aborted; at++) {
    await client.set(`key:${at}`, value, 'EX', ttlSeconds).catch((error: unknown) => errors.push(error))
    const ahead = (at * valueBytes * 1000 * ttlSeconds) / heldBytes - (performance.now() - beganAt)
    if (ahead > 5) await new Promise((resolve) => setTimeout(resolve, ahead))
  }
}

const shards = (): number => it.status().shards.length

test('it grows from 3 to 6 pairs under load and shrinks back, without an error and all of it readable', async () => {
  writing = write()
  await eventually(() => shards() === 6 && it.status().ready === 'yes', { withinMs: 150_000, what: 'six shards' })
  over.abort()
  await writing
  await eventually(() => shards() === 3 && it.status().ready === 'yes', { withinMs: 150_000, what: 'three shards' })
  expect(errors).toEqual([])
  const told = it
    .events()
    .filter(({ actor, kind }) => actor === 'autoscale' && kind === 'operation')
    .map(({ because }) => /(\d) to (\d) shards$/.exec(because)?.slice(1).join('>'))
    .filter((step) => step !== undefined)
  expect(told).toEqual(['3>4', '4>5', '5>6', '6>5', '5>4', '4>3'])
  expect(it.told('operation').filter((because) => because.includes('memory above 70%'))).toHaveLength(3)
  expect(it.told('operation').filter((because) => because.includes('CPU and memory below 40%'))).toHaveLength(3)
}, 320_000)
