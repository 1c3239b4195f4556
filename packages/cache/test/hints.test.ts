import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../../../test/support/eventually.ts'
import { systemClock } from '../src/clock.ts'
import { followFeed, hintedBy } from '../src/hints.ts'
import { MemoryServer } from '../src/testing/memory-server.ts'

async function feed() {
  const listening = new Set<ServerResponse>()
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    listening.add(response)
    response.on('close', () => listening.delete(response))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/events`, listening }
}

test('each event of a feed is a hint, and a feed that breaks is followed again', async () => {
  const { url, listening } = await feed()
  const hints: string[] = []
  const stop = followFeed(url, systemClock)((because) => hints.push(because))
  onTestFinished(stop)
  await eventually(() => listening.size === 1)
  for (const response of listening) response.write('id: 1\ndata: {"kind":"failover"}\n\n')
  await eventually(() => hints.length === 1)
  for (const response of listening) response.destroy()
  await eventually(() => listening.size === 0)
  await eventually(() => listening.size === 1)
  for (const response of listening) response.write('data: again\n\n')
  await eventually(() => hints.length === 2)
  stop()
  await eventually(() => listening.size === 0)
})

test('hints reach the engine until it is closed', async () => {
  const engine = new MemoryServer({ clock: systemClock }).connect({})
  const heard: string[] = []
  let stopped = false
  engine.hint = (because) => heard.push(because)
  let say: (because: string) => void = () => {}
  hintedBy(engine, (changed) => {
    say = changed
    return () => {
      stopped = true
    }
  })
  say('a failover')
  expect(heard).toEqual(['a failover'])
  await engine.close()
  expect(stopped).toBe(true)
})
