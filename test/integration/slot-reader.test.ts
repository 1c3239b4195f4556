import { engineUsers, newSecrets, slotOf } from '@holdfast/core'
import { describe, expect, test } from 'vitest'
import { readSlots } from '../../packages/control/src/engine/slot-reader.ts'
import { engineNamed, findTestEngine, homeOfEngine } from '../support/engines.ts'
import type { EngineTerms, OneEngine } from '../support/one-engine.ts'
import { startOneEngine } from '../support/one-engine.ts'

let count = 0
const secrets = newSecrets(() => `canary-of-slots-${++count}`)

async function withEngine(terms: Omit<EngineTerms, 'secrets'>, work: (one: OneEngine) => Promise<void>): Promise<void> {
  const one = await startOneEngine({ ...terms, secrets })
  try {
    for (const key of ['{a}1', '{a}2', '{a}3', '{b}1']) {
      expect(await one.ask('app', 'SET', key, 'x'.repeat(50_000))).toBe('OK')
    }
    await work(one)
  } finally {
    await one.stop()
  }
}

/** As the controller asks: as the user who may only read. */
const read = ({ node: { address, port } }: OneEngine, engine: EngineTerms['binary']) =>
  readSlots(
    { address, port, engine, slots: [[0, 16_383]] },
    { username: engineUsers.probe, password: () => secrets.probe },
  )

describe('what is in each slot', () => {
  test('an engine that only counts keys: their bytes are their part of its data', async () => {
    const binary = await findTestEngine()
    await withEngine({ binary }, async (one) => {
      const { keys, bytes, cpuUs } = await read(one, { ...binary, flavor: 'redis', version: '7.0.15' })
      expect([slotOf('{a}'), slotOf('{b}')].map((slot) => keys[slot])).toEqual([3, 1])
      expect(keys.reduce((sum, keysOf) => sum + keysOf)).toBe(4)
      expect(bytes[slotOf('{a}')]).toBeGreaterThan(150_000)
      expect((bytes[slotOf('{a}')] ?? 0) / (bytes[slotOf('{b}')] ?? 1)).toBeCloseTo(3)
      expect(cpuUs).toBeNull()
    })
  })

  test('an engine that tells it, and the work with each slot where it was told to count', async () => {
    const binary = await findTestEngine(engineNamed('valkey 8'), homeOfEngine('valkey 8'))
    await withEngine({ binary }, async (one) => {
      expect((await read(one, binary)).cpuUs).toBeNull()
      expect(await one.ask('admin', 'CONFIG', 'SET', 'cluster-slot-stats-enabled', 'yes')).toBe('OK')
      await one.ask('app', 'GET', '{a}1')
      const { keys, bytes, cpuUs } = await read(one, binary)
      expect(keys[slotOf('{a}')]).toBe(3)
      expect(bytes[slotOf('{a}')]).toBeGreaterThan(150_000)
      expect(cpuUs?.[slotOf('{a}')]).toBeGreaterThan(0)
      expect(cpuUs?.[slotOf('{c}')]).toBe(0)
    })
  })
})
