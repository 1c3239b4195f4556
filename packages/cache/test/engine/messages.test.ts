import { afterEach, describe, expect, test } from 'vitest'
import type { Call, Engine, Link } from '../../src/engine/engine.ts'
import { withMessages } from '../../src/engine/messages.ts'
import { printSaid, readSaid } from '../../src/engine/sequence.ts'
import { HandClock } from '../../src/testing/hand-clock.ts'
import type { MemoryEngine } from '../../src/testing/memory-engine.ts'
import { MemoryServer } from '../../src/testing/memory-server.ts'

const channel = 'app:changes'

class Process {
  readonly engine: ReturnType<typeof withMessages>
  readonly told: string[] = []
  readonly links: Link[] = []
  readonly ended: string[] = []

  constructor(inner: Engine, clock: HandClock, sender: string) {
    this.engine = withMessages(inner, { channel, clock, sender })
    this.engine.on('changed', (keys) => this.told.push(...(keys ?? [])))
    this.engine.on('linked', (link) => this.links.push(link))
    this.engine.on('unlinked', (_link, because) => this.ended.push(because))
  }

  get link(): Link | undefined {
    return this.links.at(-1)
  }
}

let opened: Process[] = []
afterEach(async () => {
  await Promise.all(opened.map(({ engine }) => engine.close()))
  opened = []
})

function world() {
  const clock = new HandClock()
  const server = new MemoryServer({ clock })
  const open = (sender: string, inner: MemoryEngine = server.connect()): Process & { inner: MemoryEngine } => {
    const process = Object.assign(new Process(inner, clock, sender), { inner })
    opened.push(process)
    return process
  }
  const observer = server.connect()
  const said: string[] = []
  server.listen(channel, (text) => said.push(text))
  const publish = (text: string): Promise<unknown> =>
    observer.send({
      commands: [['PUBLISH', channel, text]],
      key: null,
      deadlineAt: clock.monotonic() + 100,
      kind: 'write',
    })
  const read = (): Call => ({
    commands: [['GET', 'a']],
    key: 'a',
    deadlineAt: clock.monotonic() + 100,
    kind: 'read',
  })
  return { clock, server, open, publish, said, read }
}

describe('changes told by messages', () => {
  test('reach the other processes and not the one that made them', async () => {
    const { clock, open, read } = world()
    const [writer, reader] = [open('w'), open('r')]
    await clock.advance(100)
    expect((await reader.engine.send(read())).link.live).toBe(false)
    await clock.advance(3000)
    expect((await reader.engine.send(read())).link).toBe(reader.link)
    expect(reader.link?.live).toBe(true)
    writer.engine.tell(['a', 'b'])
    writer.engine.tell(['a', 'c'])
    await clock.advance(10)
    expect(reader.told).toEqual(['a', 'b', 'c'])
    expect(writer.told).toEqual([])
    expect(reader.ended).toEqual([])
  })

  test('of one moment are one message', async () => {
    const { clock, open, said } = world()
    const writer = open('w')
    await clock.advance(3000)
    said.length = 0
    for (let number = 0; number < 150; number++) writer.engine.tell([`key ${number}`])
    await clock.advance(10)
    expect(said.map((text) => readSaid(text)?.keys.length)).toEqual([150])
  })

  test('that are missing end the link, and the next one lives at once', async () => {
    const { clock, open, publish } = world()
    const reader = open('r')
    await publish(printSaid({ sender: 'w', seq: 0, keys: [] }))
    await clock.advance(2000)
    await publish(printSaid({ sender: 'w', seq: 1, keys: ['a'] }))
    const before = reader.link
    expect(before?.live).toBe(true)
    await publish(printSaid({ sender: 'w', seq: 3, keys: ['c'] }))
    expect(before?.live).toBe(false)
    expect(reader.ended).toEqual(['messages of w are missing'])
    expect(reader.link).not.toBe(before)
    expect(reader.link?.live).toBe(true)
    expect(reader.told).toEqual(['a', 'c'])
  })

  test('a link that ended while a read was under way is the link of that read', async () => {
    const { clock, open, publish, read } = world()
    const reader = open('r')
    await clock.advance(3000)
    reader.inner.faults.delay(50)
    const answer = reader.engine.send(read())
    await clock.advance(10)
    await publish(printSaid({ sender: 'w', seq: 9, keys: ['a'] }))
    // What is told is delayed as well, but was there before the answer.
    await clock.advance(100)
    expect((await answer).link.live).toBe(false)
    reader.inner.faults.delay(0)
  })

  test('a sender that falls silent ends the link once; one that says goodbye does not', async () => {
    const { clock, open, publish } = world()
    const [reader, polite] = [open('r'), open('p')]
    await clock.advance(3000)
    await publish(printSaid({ sender: 'w', seq: 0, keys: [] }))
    await clock.advance(500)
    await polite.engine.close()
    await clock.advance(10_000)
    expect(reader.ended).toEqual(['w fell silent'])
    expect(reader.link?.live).toBe(true)
  })

  test('what could not be published is told when the engine is back, or missed by its number', async () => {
    const { clock, open } = world()
    const [writer, reader] = [open('w'), open('r')]
    await clock.advance(3000)
    writer.inner.faults.die()
    writer.engine.tell(['a'])
    await clock.advance(1500)
    writer.engine.tell(['b'])
    writer.inner.faults.revive()
    await clock.advance(5000)
    expect([...reader.told].sort()).toEqual(['a', 'b'])
    writer.inner.faults.die()
    const many = Array.from({ length: 10_001 }, (_, number) => `key ${number}`)
    writer.engine.tell(many)
    const before = reader.link
    writer.inner.faults.revive()
    await clock.advance(5000)
    expect(before?.live).toBe(false)
  })

  test('a link ends when our own messages do not come back, and begins when they do', async () => {
    const { clock, open } = world()
    const reader = open('r')
    await clock.advance(3000)
    const before = reader.link
    reader.inner.faults.freeze()
    await clock.advance(4000)
    expect(before?.live).toBe(false)
    reader.inner.faults.thaw()
    await clock.advance(4000)
    expect(reader.link?.live).toBe(true)
    expect(reader.link).not.toBe(before)
  })

  test('nonsense in the channel does no harm, and nothing is left running after the end', async () => {
    const { clock, open, publish } = world()
    const reader = open('r')
    await clock.advance(3000)
    for (const text of ['', 'null', '["w"]', '["w",1,7]']) {
      // oxlint-disable-next-line no-await-in-loop
      await publish(text)
    }
    expect(reader.ended).toEqual([])
    await reader.engine.close()
    reader.engine.tell(['a'])
    await clock.advance(10_000)
    expect(clock.waiting).toBe(0)
  })
})
