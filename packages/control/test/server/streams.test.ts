import type { Plan } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { aStatus } from './demo-status.ts'
import { anEvent } from './memory-platform.ts'
import { aWorld, bearerToken, cookieOf, password, type World } from './support.ts'

let world: World
let base: string
const readers: Reader[] = []

beforeEach(async () => {
  world = aWorld({ port: null })
  world.platform.show(aStatus())
  base = await world.app.listen({ host: '127.0.0.1', port: 0 })
})
afterEach(async () => {
  await Promise.all(readers.splice(0).map((reader) => reader.cancel()))
  await world.close()
})

interface Frame {
  readonly id: string | undefined
  readonly data: Record<string, unknown>
}

/** Reads server-sent events one by one. A test that waits for one that never comes fails by its own timeout. */
class Reader {
  readonly #reader: ReadableStreamDefaultReader<string>
  #text = ''

  constructor(response: Response) {
    this.#reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  }

  async next(): Promise<Frame> {
    for (;;) {
      const block = await this.nextBlock()
      if (block === undefined) throw new Error('the stream ended')
      const data = /^data: (.*)$/m.exec(block)?.[1]
      if (data !== undefined) return { id: /^id: (.*)$/m.exec(block)?.[1], data: JSON.parse(data) }
    }
  }

  /** The next block, comments too; undefined at the end. */
  async nextBlock(): Promise<string | undefined> {
    while (!this.#text.includes('\n\n')) {
      const { done, value } = await this.#reader.read()
      if (done) return undefined
      this.#text += value
    }
    const end = this.#text.indexOf('\n\n')
    const block = this.#text.slice(0, end)
    this.#text = this.#text.slice(end + 2)
    return block
  }

  cancel(): Promise<void> {
    return this.#reader.cancel().catch(() => undefined)
  }
}

async function open(path: string, headers: Record<string, string> = {}): Promise<Reader> {
  const response = await fetch(`${base}/api/v1${path}`, {
    headers: { authorization: `Bearer ${bearerToken}`, accept: 'text/event-stream', ...headers },
  })
  expect(response.headers.get('content-type')).toContain('text/event-stream')
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  const reader = new Reader(response)
  readers.push(reader)
  return reader
}

const seqsOf = async (reader: Reader, count: number): Promise<string[]> => {
  const ids = []
  for (let i = 0; i < count; i++) ids.push((await reader.next()).id ?? '')
  return ids
}

const append = (because: string, deployment = 'shop') => world.platform.events.append(anEvent({ because, deployment }))

describe('events', () => {
  test('the last ones first, then each as it happens', async () => {
    for (const because of ['a', 'b', 'c']) append(because)
    const reader = await open('/events?deployment=shop&limit=2')
    expect(await seqsOf(reader, 2)).toEqual(['2', '3'])
    append('not for us', 'other')
    append('d')
    expect((await reader.next()).data).toEqual({ ...anEvent({ because: 'd' }), seq: 5 })
  })

  test('a reader that lost the connection gets all that it missed, and nothing twice', async () => {
    for (const because of ['a', 'b']) append(because)
    const before = await open('/events?limit=1')
    expect(await seqsOf(before, 1)).toEqual(['2'])
    await before.cancel()
    for (let i = 3; i <= 1303; i++) append(`missed ${i}`)
    const after = await open('/events?limit=1', { 'last-event-id': '2' })
    expect(await seqsOf(after, 1301)).toEqual(Array.from({ length: 1301 }, (_, i) => String(i + 3)))
    append('live again')
    expect((await after.next()).id).toBe('1304')
  })

  test('a reader with the id of a log that is gone starts over', async () => {
    append('a')
    const reader = await open('/events', { 'last-event-id': '999' })
    expect(await seqsOf(reader, 1)).toEqual(['1'])
    append('b')
    expect(await seqsOf(reader, 1)).toEqual(['2'])
  })

  test('a reader that is a megabyte behind is cut off where it can resume', async () => {
    for (let i = 0; i < 1500; i++) append('x'.repeat(1000))
    const reader = await open('/events', { 'last-event-id': '0' })
    let last = 0
    for (let block = await reader.nextBlock(); block !== undefined; block = await reader.nextBlock()) {
      const id = Number(/^id: (\d+)$/m.exec(block)?.[1] ?? last)
      expect(id === last || id === last + 1).toBe(true)
      last = id
    }
    expect(last).toBeGreaterThan(500)
    expect(last).toBeLessThan(1500)
    expect(await seqsOf(await open('/events', { 'last-event-id': String(last) }), 1)).toEqual([String(last + 1)])
  })

  test('line breaks in a sentence do not break the stream', async () => {
    append('one\n\ndata: {"seq":99}\n\n')
    const reader = await open('/events')
    append('two')
    expect((await reader.next()).data.because).toBe('one\n\ndata: {"seq":99}\n\n')
    expect((await reader.next()).data.because).toBe('two')
  })
})

describe('the topology feed', () => {
  const path = '/deployments/shop/topology/stream'
  const died = aStatus({
    shards: aStatus().shards.map((shard, at) => (at === 0 ? { ...shard, primary: null } : shard)),
  })
  const switchover = { actions: [{ kind: 'failover', node: 'node-5', mode: 'switchover' }] } as unknown as Plan

  test('the topology of now comes first, then each that differs, and no other', async () => {
    const reader = await open(path)
    const first = await reader.next()
    expect(first.data).toMatchObject({ apiVersion: 1, name: 'shop', shards: [{ id: 'shard-1' }, {}, {}] })
    world.platform.show(aStatus({ because: 'other words, same topology', observedAt: 5 }))
    world.platform.show(died)
    const second = await reader.next()
    expect(second.data).toMatchObject({ shards: [{ primary: null, change: { kind: 'failover' } }, {}, {}] })
    expect(second.id).not.toBe(first.id)
  })

  test('the beginning of a change is told before anybody has looked again', async () => {
    const reader = await open(path)
    await reader.next()
    world.platform.topology.asked('shop', switchover, 7)
    const { data } = await reader.next()
    expect(JSON.stringify(data)).toContain('"change":{"kind":"switchover","to":"node-5","since":7}')
  })

  test('a reader that comes back hears only what it does not know', async () => {
    const { id = '' } = await (await open(path)).next()
    const again = await open(path, { 'last-event-id': id })
    world.platform.show(died)
    expect((await again.next()).data).toMatchObject({ shards: [{ primary: null }, {}, {}] })
    const later = await open(path, { 'last-event-id': id })
    expect((await later.next()).data).toMatchObject({ shards: [{ primary: null }, {}, {}] })
  })

  test('it is not for everybody, and not of what is not there', async () => {
    const ask = (name: string, token: string) =>
      fetch(`${base}/api/v1/deployments/${name}/topology/stream`, { headers: { authorization: `Bearer ${token}` } })
    expect((await ask('shop', 'somebody')).status).toBe(401)
    expect((await ask('nothing', bearerToken)).status).toBe(404)
  })
})

describe('watching', () => {
  test('the current status comes first, a change of sentence at once', async () => {
    const reader = await open('/deployments/shop/watch')
    expect((await reader.next()).data).toEqual(aStatus())
    world.platform.show(aStatus({ because: 'node-2 is dead: failing over', ready: 'no' }))
    expect((await reader.next()).data.because).toBe('node-2 is dead: failing over')
  })

  test('mere figures come once a second, the newest of them', async () => {
    const reader = await open('/deployments/shop/watch')
    await reader.next()
    for (let specks = 1; specks <= 50; specks++) world.platform.show(aStatus({ observedAt: specks }))
    world.clock.advance(1000)
    expect((await reader.next()).data.observedAt).toBe(50)
  })

  test('other deployments are not shown, except where all are watched', async () => {
    const one = await open('/deployments/shop/watch')
    const all = await open('/watch')
    await one.next()
    await all.next()
    world.platform.show(aStatus({ name: 'other' }))
    world.platform.show(aStatus({ because: 'for both' }))
    expect((await one.next()).data.because).toBe('for both')
    expect((await all.next()).data.name).toBe('other')
    expect((await all.next()).data.because).toBe('for both')
  })

  test('a deployment that is gone ends its stream', async () => {
    const reader = await open('/deployments/shop/watch')
    await reader.next()
    await world.platform.forget('shop')
    world.clock.advance(15_000)
    await expect(reader.next()).rejects.toThrow('the stream ended')
  })
})

describe('a stream', () => {
  test('beats each fifteen seconds', async () => {
    const reader = await open('/events')
    expect(await reader.nextBlock()).toBe('retry: 1000')
    world.clock.advance(15_000)
    expect(await reader.nextBlock()).toBe(': heartbeat')
  })

  test('ends with the session that opened it', async () => {
    const signedIn = await fetch(`${base}/api/v1/session`, {
      method: 'POST',
      headers: { origin: base, 'x-requested-by': 'holdfast', 'content-type': 'application/json' },
      body: JSON.stringify({ user: 'admin', password }),
    })
    const cookie = cookieOf(signedIn.headers.get('set-cookie') ?? '')
    const response = await fetch(`${base}/api/v1/deployments/shop/watch`, { headers: { cookie } })
    const reader = new Reader(response)
    readers.push(reader)
    await reader.next()
    await fetch(`${base}/api/v1/session`, {
      method: 'DELETE',
      headers: { cookie, origin: base, 'x-requested-by': 'holdfast' },
    })
    world.platform.show(aStatus({ because: 'a secret of tomorrow' }))
    await expect(reader.next()).rejects.toThrow('the stream ended')
  })

  test('leaves no listener behind when its reader goes', async () => {
    const watching = await open('/watch')
    const reading = await open('/events')
    await watching.next()
    expect([world.platform.watchers, world.platform.events.listeners]).toEqual([1, 1])
    await Promise.all([watching.cancel(), reading.cancel()])
    await expect.poll(() => [world.platform.watchers, world.platform.events.listeners]).toEqual([0, 0])
  })

  test('ends when the server closes, which does not wait for it', async () => {
    const reader = await open('/watch')
    await reader.next()
    await world.app.close()
    await expect(reader.next()).rejects.toThrow()
  })

  test('the sixty-fifth is asked to come back later', async () => {
    for (let i = 0; i < 64; i++) await open('/events')
    const response = await fetch(`${base}/api/v1/events`, { headers: { authorization: `Bearer ${bearerToken}` } })
    expect(response.status).toBe(503)
  })
})
