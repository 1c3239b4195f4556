import { expect, test } from 'vitest'
import type { Call, Command, Engine, EngineEvents } from '../../src/engine/engine.ts'
import { CacheError } from '../../src/errors.ts'
import { HandClock } from '../../src/testing/hand-clock.ts'
import { MemoryServer } from '../../src/testing/memory-server.ts'

function world({ shards = 1 } = {}) {
  const clock = new HandClock()
  const server = new MemoryServer({ clock, shards })
  const engine = server.connect({ track: [''] })
  const call = (command: Command, more: Partial<Call> = {}): Call => ({
    commands: [command],
    key: 'script' in command ? null : (command[1]?.toString() ?? null),
    deadlineAt: clock.monotonic() + 250,
    kind: 'write',
    ...more,
  })
  const set = (value: string, more: Partial<Call> = {}) => engine.send(call(['SET', 'k', value], more))
  const get = (more: Partial<Call> = {}) => engine.send(call(['GET', 'k'], { kind: 'read', ...more }))
  return { clock, server, engine, call, set, get }
}

/** What is told, in order, in short. */
function listenTo(engine: Engine): string[] {
  const told: string[] = []
  const events: (keyof EngineEvents)[] = ['changed', 'linked', 'unlinked', 'breaker', 'moved', 'trouble']
  for (const event of events) {
    engine.on(event, (...facts: unknown[]) => {
      if (event === 'changed') told.push(`changed ${String(facts[0])}`)
      else if (event === 'breaker') told.push(`breaker ${String(facts[1])}`)
      else told.push(event)
    })
  }
  return told
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'done',
    (error: unknown) => (error instanceof CacheError ? error.code : String(error)),
  )
}

test('a dead node answers nobody, and its links die', async () => {
  const { clock, engine, set, get } = world()
  const told = listenTo(engine)
  const { link } = await set('v')
  engine.faults.die()
  expect([await codeOf(get()), await codeOf(set('w')), link.live]).toEqual(['UNAVAILABLE', 'UNAVAILABLE', false])
  engine.faults.revive()
  const answer = await get()
  expect([answer.replies, answer.link.live, answer.link === link]).toEqual([['v'], true, false])
  await clock.advance(0)
  expect(told).toEqual(['linked', 'unlinked', 'breaker open', 'breaker closed', 'linked'])
})

test('a node that starts without a file has nothing', async () => {
  const { engine, set, get } = world()
  await set('v')
  engine.faults.die()
  engine.faults.revive({ empty: true })
  expect((await get()).replies).toEqual([null])
})

test('the patient wait for a node to be back, as long as their deadline lets them', async () => {
  const { clock, engine, set, get } = world()
  await set('v')
  engine.faults.die()
  const lasting = get({ patient: true })
  const hasty = codeOf(get({ patient: true, deadlineAt: clock.monotonic() + 10 }))
  await clock.advance(100)
  expect(await hasty).toBe('UNAVAILABLE')
  engine.faults.revive()
  expect((await lasting).replies).toEqual(['v'])
})

test('a frozen node lets everybody wait until the deadline, and does the writes when it thaws', async () => {
  const { clock, engine, set, get } = world()
  await set('before')
  engine.faults.freeze()
  const outcomes = Promise.all([
    codeOf(get()),
    codeOf(set('after')),
    codeOf(get({ deadlineAt: clock.monotonic() + 9000 })),
  ])
  await clock.advance(250)
  engine.faults.thaw()
  expect(await outcomes).toEqual(['UNAVAILABLE', 'INDETERMINATE', 'done'])
  expect((await get()).replies).toEqual(['after'])
})

test('a cut link is known, calls go on, and what changes meanwhile is not told', async () => {
  const { clock, server, engine, get } = world()
  const other = server.connect()
  const change = (value: string) =>
    other.send({ commands: [['SET', 'k', value]], key: 'k', kind: 'write', deadlineAt: clock.monotonic() + 250 })
  const told = listenTo(engine)
  await change('1')
  await clock.advance(0)
  engine.faults.cutLink()
  await change('2')
  const answer = await get()
  expect([answer.replies, answer.link.live]).toEqual([['2'], false])
  engine.faults.mendLink()
  await change('3')
  await clock.advance(0)
  expect(told).toEqual(['linked', 'changed k', 'unlinked', 'linked', 'changed k'])
})

test('answers that are late come in order, also between each other and what is told', async () => {
  const { clock, server, engine, get } = world()
  const other = server.connect()
  const order: string[] = []
  engine.on('changed', () => order.push('changed'))
  engine.faults.delay(50)
  const early = get().then(() => order.push('read before'))
  await clock.advance(1)
  await other.send({ commands: [['SET', 'k', 'v']], key: 'k', kind: 'write', deadlineAt: clock.monotonic() + 250 })
  const late = get().then(({ replies }) => order.push(`read ${String(replies[0])}`))
  await clock.advance(40)
  expect(order).toEqual([])
  await clock.advance(20)
  await Promise.all([early, late])
  expect(order).toEqual(['read before', 'changed', 'read v'])
})

test('an answer that is under way when the deadline passes leaves a write in doubt', async () => {
  const { clock, engine, set, get } = world()
  engine.faults.delay(300)
  const outcomes = Promise.all([codeOf(set('v')), codeOf(get())])
  await clock.advance(250)
  expect(await outcomes).toEqual(['INDETERMINATE', 'UNAVAILABLE'])
})

test('a lost answer leaves in doubt only what may not be done twice', async () => {
  const { engine, call, set, get } = world()
  engine.faults.loseReply()
  expect(await codeOf(set('v'))).toBe('INDETERMINATE')
  engine.faults.loseReply(2)
  expect((await get()).replies).toEqual(['v'])
  engine.faults.loseReply()
  const twice = await engine.send(call(['INCR', 'n'], { idempotent: true }))
  expect(twice.replies).toEqual([2])
})

test('calls fail as often as asked, and nothing is done', async () => {
  const { engine, set, get } = world()
  engine.faults.failNext(2)
  engine.faults.failNext(1, new CacheError('DENIED', 'wrong password'))
  expect([await codeOf(set('v')), await codeOf(set('v')), await codeOf(get())]).toEqual([
    'UNAVAILABLE',
    'UNAVAILABLE',
    'DENIED',
  ])
  expect((await get()).replies).toEqual([null])
})

test('a failover gives another link, tells of it, and keeps the data', async () => {
  const { engine, set, get } = world()
  const { link } = await set('v')
  const told = listenTo(engine)
  engine.faults.failover()
  const answer = await get()
  expect([answer.replies, link.live, answer.link.live]).toEqual([['v'], false, true])
  expect(answer.link.node).not.toBe(link.node)
  expect(told.filter((event) => !event.startsWith('breaker'))).toEqual(['unlinked', 'moved', 'linked'])
})

test('a full node refuses what needs memory until the deadline, and still reads and deletes', async () => {
  const { clock, engine, call, set, get } = world()
  await set('v')
  engine.faults.full()
  const refused = codeOf(set('w'))
  const inTime = set('x', { deadlineAt: clock.monotonic() + 900 })
  expect((await get()).replies).toEqual(['v'])
  expect((await engine.send(call(['DEL', 'k']))).replies).toEqual([1])
  await clock.advance(300)
  engine.faults.roomy()
  await clock.advance(20)
  expect([await refused, (await inTime).replies]).toEqual(['UNAVAILABLE', ['OK']])
})

test('a full node that dies ends what still tried', async () => {
  const { clock, engine, set } = world()
  engine.faults.full()
  const outcome = codeOf(set('w'))
  await clock.advance(5)
  engine.faults.die()
  expect(await outcome).toBe('UNAVAILABLE')
  expect(clock.waiting).toBe(0)
})

test('one shard of three can die alone', async () => {
  const { engine, call } = world({ shards: 3 })
  engine.faults.die({ shard: 1 })
  const outcomes = await Promise.all(engine.primaryKeys().map((key) => codeOf(engine.send(call(['SET', key, 'v'])))))
  expect(outcomes).toEqual(['done', 'UNAVAILABLE', 'done'])
  expect(() => engine.faults.die({ shard: 3 })).toThrow('there is no shard 3')
})

test('a subscriber is told that it missed messages, and hears those after', async () => {
  const { clock, engine, call } = world()
  const heard: string[] = []
  await engine.subscribe(['news'], {
    message: ({ text }) => heard.push(text),
    gap: () => heard.push('(gap)'),
  })
  const publish = (text: string) => engine.send(call(['PUBLISH', 'news', text], { key: null }))
  await publish('one')
  await clock.advance(0)
  engine.faults.die()
  engine.faults.revive()
  await publish('two')
  await clock.advance(0)
  expect(heard).toEqual(['one', '(gap)', '(gap)', 'two'])
})
