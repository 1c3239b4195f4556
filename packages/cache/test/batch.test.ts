import { expect, test } from 'vitest'
import { Batch } from '../src/batch.ts'
import { systemClock } from '../src/clock.ts'
import type { Call, Engine } from '../src/engine/engine.ts'

/** An engine of one node that answers every key with its own name, and keeps what it was asked. */
function anEngine(): { readonly engine: Engine; readonly calls: Call[] } {
  const calls: Call[] = []
  const link = { node: 'here', live: false }
  const engine = {
    group: (keys: readonly string[]) => (keys.length === 0 ? [] : [keys.map((_, index) => index)]),
    send(call: Call) {
      calls.push(call)
      const [command] = call.commands as readonly (readonly string[])[]
      return Promise.resolve({ replies: [command?.slice(1)], role: 'primary' as const, link })
    },
  } as unknown as Engine
  return { engine, calls }
}

function aBatch(engine: Engine, withinMs: number): Batch<string> {
  const command = (keys: readonly string[]) => ({ command: ['MGET', ...keys], note: undefined })
  return new Batch({
    engine,
    clock: { ...systemClock, monotonic: () => 1000 },
    deadlineMs: () => withinMs,
    kind: 'read',
    command,
  })
}

test('what is asked in one tick is one command, and everybody gets his own reply', async () => {
  const { engine, calls } = anEngine()
  const batch = aBatch(engine, 250)
  const asked = await Promise.all(['a', 'b', 'a'].map((key) => batch.asked(key)))
  expect(asked.map(({ reply }) => reply)).toEqual(['a', 'b', 'a'])
  expect(calls.map(({ commands }) => commands)).toEqual([[['MGET', 'a', 'b', 'a']]])
})

test('a command has at most 256 keys, and no key is lost or doubled between two', async () => {
  const { engine, calls } = anEngine()
  const batch = aBatch(engine, 250)
  const keys = Array.from({ length: 600 }, (_, index) => `k${index}`)
  const asked = await Promise.all(keys.map((key) => batch.asked(key)))
  expect(asked.map(({ reply }) => reply)).toEqual(keys)
  expect(calls.map(({ commands }) => (commands[0] as readonly string[]).length - 1)).toEqual([256, 256, 88])
})

test('a deadline is aimed early by as much as its end may be late, and a short one by a tenth', async () => {
  const { engine, calls } = anEngine()
  await aBatch(engine, 250).asked('k')
  await aBatch(engine, 20).asked('k')
  expect(calls.map(({ deadlineAt }) => deadlineAt)).toEqual([1240, 1018])
})
