import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../packages/cache/src/clock.ts'
import { type Engine, ReplyError } from '../../../packages/cache/src/engine/engine.ts'
import { openEngine, type Target } from '../../../packages/cache/src/engine/open-engine.ts'
import { memoryEngine } from '../../../packages/cache/src/testing/memory-server.ts'
import { type StartedEngine, startCluster, startSentinel, startStandalone } from '../../support/cache-engines.ts'
import { families, type Sequence } from '../../support/engine-commands.ts'
import { contractPrefix, describeEngine, type OpenedEngines } from '../../support/engine-contract.ts'

function onReal(name: string, start: () => Promise<StartedEngine>, targetOf: (started: StartedEngine) => Target): void {
  describe(name, () => {
    let started: StartedEngine
    beforeAll(async () => {
      started = await start()
    })
    afterAll(() => started.close())
    describeEngine(name, async (): Promise<OpenedEngines> => {
      const open = (): Engine => openEngine(targetOf(started), { clock: systemClock })
      const [engine, second] = [open(), open()]
      return {
        engine,
        second,
        async close() {
          await engine.close()
          await second.close()
        },
      }
    })
  })
}

const track = [contractPrefix]
onReal('standalone', startStandalone, ({ addresses }) => ({ topology: 'standalone', addresses, track }))
onReal('a Cluster', startCluster, ({ addresses }) => ({ topology: 'cluster', addresses, track }))
onReal('Sentinels', startSentinel, ({ addresses }) => ({ topology: 'sentinel', addresses, track, masterName: 'main' }))

describe('the engine in memory answers what a real one does', () => {
  const seed = Number(process.env['SEED'] ?? systemClock.now() % 2 ** 31)
  let started: StartedEngine
  let real: Engine
  const memory = memoryEngine()

  beforeAll(async () => {
    console.log(`SEED=${seed}`)
    started = await startStandalone()
    real = openEngine({ topology: 'standalone', addresses: started.addresses, track: [] }, { clock: systemClock })
  })
  afterAll(async () => {
    await real.close()
    await memory.close()
    await started.close()
  })

  async function answersOf(engine: Engine, commands: Sequence, bytes: boolean): Promise<readonly unknown[]> {
    const { replies } = await engine.send({
      commands: [['FLUSHALL'], ...commands],
      key: null,
      kind: 'write',
      bytes,
      deadlineAt: systemClock.monotonic() + 10_000,
    })
    return replies.map((reply, index) => comparable(reply, commands[index - 1] ?? []))
  }

  test.each(Object.keys(families) as (keyof typeof families)[])('%s', async (name) => {
    await fc.assert(
      fc.asyncProperty(families[name], fc.boolean(), async (commands, bytes) => {
        const [inMemory, fromReal] = await Promise.all([
          answersOf(memory, commands, bytes),
          answersOf(real, commands, bytes),
        ])
        expect(inMemory).toEqual(fromReal)
      }),
      { seed, numRuns: Number(process.env['RUNS'] ?? 150) },
    )
  })
})

/**
 * Sets have no order, how long something was idle is never the same twice, and of integers beyond 2^53 a JavaScript
 * number knows the first places only.
 */
function comparable(reply: unknown, command: readonly string[]): unknown {
  if (reply instanceof ReplyError) return `error: ${reply.message.replace(/^(ERR unknown command '\w*').*/s, '$1')}`
  if (typeof reply === 'number' && Math.abs(reply) > Number.MAX_SAFE_INTEGER) return reply.toPrecision(12)
  if (!Array.isArray(reply)) return reply
  if (command[0] === 'SMEMBERS') return reply.map(String).sort()
  if (command[0] === 'XPENDING' && command.length > 3) return reply.map((entry: unknown[]) => entry.toSpliced(2, 1))
  return reply.map((part: unknown) => comparable(part, []))
}
