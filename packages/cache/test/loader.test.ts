import { expect, test } from 'vitest'
import { type Loader, runLoader } from '../src/loader.ts'
import { HandClock } from '../src/testing/hand-clock.ts'

function aRun(loader: Loader<unknown>, withinMs = 1000) {
  const clock = new HandClock()
  const closing = new AbortController()
  const context = { key: 'k', stale: undefined, keepFor: () => {} }
  const running = runLoader(loader, context, { clock, withinMs, closing: closing.signal })
  // Whoever looks at it later hears of it then.
  running.catch(() => {})
  return { clock, closing, running }
}

test('leaves no timer behind, whether the loader answers, throws or rejects', async () => {
  const answering = aRun(() => 1)
  const throwing = aRun(() => {
    throw new Error('down')
  })
  const rejecting = aRun(() => Promise.reject(new Error('down')))
  expect(await answering.running).toBe(1)
  await expect(throwing.running).rejects.toThrow('down')
  await expect(rejecting.running).rejects.toThrow('down')
  expect([answering, throwing, rejecting].map(({ clock }) => clock.waiting)).toEqual([0, 0, 0])
})

test('gives up a loader that does not listen, and says so to one that does', async () => {
  let signal: AbortSignal | undefined
  const { clock, running } = aRun((context) => {
    signal = context.signal
    return new Promise(() => {})
  }, 50)
  await clock.advance(49)
  expect(signal?.aborted).toBe(false)
  await clock.advance(1)
  expect(signal?.aborted).toBe(true)
  await expect(running).rejects.toMatchObject({ code: 'LOADER_TIMEOUT', facts: { key: 'k', withinMs: 50 } })
  expect(signal?.reason).toMatchObject({ code: 'LOADER_TIMEOUT' })
})

test('ends with the cache, and does not hear of what the loader says afterwards', async () => {
  let fail: (error: Error) => void = () => {}
  const { clock, closing, running } = aRun(() => new Promise((_, reject) => (fail = reject)))
  closing.abort()
  await expect(running).rejects.toMatchObject({ code: 'CLOSED' })
  fail(new Error('too late to matter'))
  await clock.settle()
  expect(clock.waiting).toBe(0)
})
