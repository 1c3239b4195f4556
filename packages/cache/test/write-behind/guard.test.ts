import { expect, test } from 'vitest'
import type { Call } from '../../src/engine/engine.ts'
import { HandClock, MemoryServer } from '../../src/testing/index.ts'
import { Events, type WriteBehindEvents } from '../../src/write-behind/events.ts'
import { Guard } from '../../src/write-behind/guard.ts'
import { writeBehindSettings } from '../../src/write-behind/settings.ts'

/** An engine whose policy somebody changes while it runs. */
function aGuard() {
  const clock = new HandClock()
  const sound = new MemoryServer({ clock, replicas: 1, config: { appendonly: 'yes' } }).connect()
  const careless = new MemoryServer({
    clock,
    replicas: 1,
    config: { appendonly: 'yes', 'maxmemory-policy': 'allkeys-lru' },
  })
  const state = { policy: 'noeviction' }
  const [here, there] = [sound, careless.connect()]
  const asked = (call: Call) => (state.policy === 'noeviction' ? here : there).send(call)
  const engine = Object.assign(Object.create(sound) as typeof sound, {
    send: asked,
    primaryKeys: () => sound.primaryKeys(),
  })
  const told: WriteBehindEvents['unsafe'][] = []
  const events = new Events()
  events.on('unsafe', (event) => told.push(event))
  const settings = writeBehindSettings()
  const guard = new Guard({ engine, clock, events, settings, partitionsKey: 'partitions' })
  return { guard, clock, state, told, sound }
}

test('looks again after a change of nodes, refuses while the engine would forget, and goes on when it is mended', async () => {
  const { guard, clock, state, told } = aGuard()
  await guard.ready
  await guard.pass()
  state.policy = 'allkeys-lru'
  guard.moved()
  await clock.advance(600)
  await expect(guard.pass()).rejects.toThrow('allkeys-lru')
  expect(told).toMatchObject([{ refusing: true }])
  state.policy = 'noeviction'
  await clock.advance(6000)
  await guard.pass()
  guard.close()
  expect(clock.waiting).toBe(0)
})

test('looks again from time to time, because settings can be changed while an engine runs', async () => {
  const { guard, clock, state } = aGuard()
  await guard.ready
  state.policy = 'allkeys-lru'
  await clock.advance(31_000)
  await expect(guard.pass()).rejects.toThrow('allkeys-lru')
  guard.close()
})

test('waits for an engine that is away at the start, and lets nobody wait longer than the deadline', async () => {
  const { guard, clock, sound } = aGuard()
  sound.faults.die()
  const passed = guard.pass().then(
    () => 'passed',
    (error: unknown) => error,
  )
  await clock.advance(5100)
  expect(await passed).toMatchObject({ code: 'UNAVAILABLE' })
  sound.faults.revive()
  await clock.advance(6000)
  await guard.pass()
  guard.close()
  expect(clock.waiting).toBe(0)
})
