import type { AgentTerms } from '@holdfast/core'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { Echo } from '../../src/agent/ask-alive.ts'
import { SelfFence } from '../../src/agent/self-fence.ts'

/** An agent that has listened for a minute before anybody told it of a deployment. */
async function anOldAgent(echo: Echo) {
  let now = 0
  let tick: () => void = () => {}
  const terms = new Map<string, AgentTerms>()
  const fenced: string[] = []
  const watch = new SelfFence({
    host: { id: 'a', epoch: () => 0, fence: (deployment) => fenced.push(deployment) },
    terms,
    ask: async () => echo,
    now: () => now,
    boot: 'boot-1',
    log: pino({ level: 'silent' }),
    repeat: (run) => {
      tick = run
      return () => {}
    },
  })
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 100) {
      now += 100
      tick()
      await Promise.resolve()
    }
  }
  await pass(60_000)
  const hosts = ['a', 'b', 'c'].map((name) => ({ name, address: '127.0.0.1', port: 1 }))
  terms.set('shop', { engine: {}, admin: { username: '', password: '' }, owned: [], hosts, leaseAfterMs: 1500 })
  return { watch, fenced, pass }
}

test('whom an agent was told of just now it has not lost, however long it listens', async () => {
  const { watch, fenced, pass } = await anOldAgent('silence')
  await pass(1400)
  expect(fenced).toEqual([])
  const { heardAgoMs } = watch.hearing()
  expect(heardAgoMs['b']).toBeLessThan(1500)
  await pass(300)
  expect(fenced).toContain('shop')
})

test('peers that answer keep it from fencing, with no controller at all', async () => {
  const { fenced, pass } = await anOldAgent('heard')
  await pass(10_000)
  expect(fenced).toEqual([])
})
