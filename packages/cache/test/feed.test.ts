import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../../../test/support/eventually.ts'
import { systemClock } from '../src/clock.ts'
import type { Said } from '../src/engine/said.ts'
import { type FeedOptions, followFeed } from '../src/feed.ts'
import { readTopology } from '../src/feed-text.ts'

/** A feed that says what the test says, to whoever asks. */
async function aFeed(status = 200) {
  const listening = new Map<ServerResponse, IncomingMessage>()
  const server = createServer((request, response) => {
    response.writeHead(status, { 'content-type': 'text/event-stream' }).flushHeaders()
    if (status === 200) listening.set(response, request)
    else response.end()
    response.on('close', () => listening.delete(response))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const say = (text: string): void => {
    for (const response of listening.keys()) response.write(text)
  }
  const cut = (): void => {
    for (const response of listening.keys()) response.destroy()
  }
  const headers = () => [...listening.values()][0]?.headers ?? {}
  return { url: `http://127.0.0.1:${port}/stream`, listening, say, cut, headers }
}

function follow(options: string | FeedOptions) {
  const heard: (readonly Said[] | undefined)[] = []
  const troubles: string[] = []
  const stops = followFeed(options, systemClock).map((hints) =>
    hints(
      (_, said) => heard.push(said),
      (error) => troubles.push(error.message),
    ),
  )
  const stop = () => {
    for (const one of stops) one()
  }
  onTestFinished(stop)
  return { heard, troubles, stop }
}

const shard = { slots: [[0, 16_383]], primary: { node: 'node-1', host: 'h', port: 1 }, replicas: [], change: null }
const word = (fields: object = {}): string =>
  JSON.stringify({ apiVersion: 1, name: 'shop', shards: [{ ...shard, ...fields }] })

test('each word is heard, and a feed that breaks is followed again from where it was', async () => {
  const feed = await aFeed()
  const { heard, stop } = follow({ url: feed.url, token: 'secret' })
  await eventually(() => feed.listening.size === 1)
  expect(feed.headers().authorization).toBe('Bearer secret')
  feed.say(`retry: 1000\n\nid: first\ndata: ${word()}\n\n: heartbeat\n\n`)
  await eventually(() => heard.length === 1)
  expect(heard[0]).toEqual([{ slots: [[0, 16_383]], primary: { host: 'h', port: 1 }, changing: false }])
  feed.cut()
  await eventually(() => feed.listening.size === 0)
  await eventually(() => feed.listening.size === 1)
  expect(feed.headers()['last-event-id']).toBe('first')
  const half = `data: ${word({ primary: null, change: { kind: 'failover', to: null } })}\n\n`
  feed.say(half.slice(0, 40))
  feed.say(half.slice(40))
  await eventually(() => heard.length === 2)
  expect(heard[1]).toEqual([{ slots: [[0, 16_383]], primary: null, changing: true }])
  stop()
  await eventually(() => feed.listening.size === 0)
})

test('of words that come too fast the last one is heard', async () => {
  const feed = await aFeed()
  const { heard } = follow(feed.url)
  await eventually(() => feed.listening.size === 1)
  for (let port = 1; port <= 500; port++) feed.say(`data: ${word({ primary: { host: 'h', port } })}\n\n`)
  await eventually(() => heard.at(-1)?.[0]?.primary?.port === 500)
  expect(heard.length).toBeLessThan(250)
})

test('a word without end is cut off', async () => {
  const feed = await aFeed()
  const { heard } = follow(feed.url)
  await eventually(() => feed.listening.size === 1)
  const [first] = feed.listening.keys()
  feed.say(`data: ${'x'.repeat(1_200_000)}`)
  await eventually(() => first?.destroyed ?? false)
  expect(heard).toEqual([])
})

test('an event that is no topology is a hint all the same', async () => {
  const feed = await aFeed()
  const { heard } = follow(feed.url)
  await eventually(() => feed.listening.size === 1)
  feed.say('data: {"kind":"failover"}\n\n')
  await eventually(() => heard.length === 1)
  expect(heard).toEqual([undefined])
})

test('a token that is not taken is told to whoever can mend it', async () => {
  const feed = await aFeed(401)
  const { troubles } = follow({ url: feed.url, token: 'wrong' })
  await eventually(() => troubles.length > 0)
  expect(troubles[0]).toContain('answers 401: it does not take the token: set feed.token, or HOLDFAST_FEED_TOKEN')
  expect(troubles[0]).not.toContain('wrong')
})

test.each([
  ['ftp://h/', 'feed is the http:// or https:// address of a topology stream'],
  ['nonsense', 'feed is the http:// or https:// address of a topology stream'],
  ['https://me:secret@h/', 'the feed takes no password in its address'],
  ['http://10.0.0.1/', 'a token is sent over https:// only, or to this machine'],
])('%s is no address of a feed', (url, sentence) => {
  expect(() => followFeed({ url, token: 't' }, systemClock)).toThrow(sentence)
})

test.each([
  ['not JSON'],
  ['null'],
  ['[]'],
  ['{"apiVersion":2,"shards":[]}'],
  [word({ slots: 'all' })],
  [word({ slots: [[0, 'x']] })],
  [word({ primary: { host: 1, port: 1 } })],
  [word({ primary: { host: 'h', port: 70_000 } })],
  [word({ primary: undefined })],
])('%s is not read as a topology', (text) => {
  expect(readTopology(text)).toBe(undefined)
})
