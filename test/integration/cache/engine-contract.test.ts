import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../packages/cache/src/clock.ts'
import { type Command, type Engine, ReplyError } from '../../../packages/cache/src/engine/engine.ts'
import { openEngine, type Target } from '../../../packages/cache/src/engine/open-engine.ts'
import { defineScript } from '../../../packages/cache/src/engine/script.ts'
import type { Hints } from '../../../packages/cache/src/hints.ts'
import { memoryEngine } from '../../../packages/cache/src/testing/memory-server.ts'
import { type StartedEngine, startCluster, startSentinel, startStandalone } from '../../support/cache-engines.ts'
import { families, type Sequence } from '../../support/engine-commands.ts'
import { contractPrefix, describeEngine, type OpenedEngines } from '../../support/engine-contract.ts'

type Place = Target & { readonly hints?: Hints }

/** Says every few ms that somebody else is the primary: a copy, another shard's primary, a stranger, nobody. */
function lies({ addresses }: StartedEngine): Hints {
  return (changed) => {
    let turn = 0
    const stranger = { host: '127.0.0.1', port: 1 }
    const timer = setInterval(() => {
      const primary = [...addresses, stranger, null][turn++ % (addresses.length + 2)] ?? null
      changed('a lie', [{ slots: [[0, 16_383]], primary, changing: turn % 3 === 0 }])
    }, 5)
    return () => clearInterval(timer)
  }
}

function onReal(name: string, start: () => Promise<StartedEngine>, placeOf: (started: StartedEngine) => Place): void {
  describe(name, () => {
    let started: StartedEngine
    beforeAll(async () => {
      started = await start()
    })
    afterAll(() => started.close())
    describeEngine(name, async (): Promise<OpenedEngines> => {
      const { hints, ...target } = placeOf(started)
      const open = (): Engine => openEngine(target, { clock: systemClock, hints })
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
onReal('a Cluster, beside a feed that lies', startCluster, (started) => ({
  topology: 'cluster',
  addresses: started.addresses,
  track,
  hints: lies(started),
}))
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

  async function send(engine: Engine, commands: readonly Command[], bytes: boolean): Promise<readonly unknown[]> {
    const deadlineAt = systemClock.monotonic() + 10_000
    const call = { commands: [['FLUSHALL'], ...commands], key: null, kind: 'write', bytes, deadlineAt } as const
    const { replies } = await engine.send(call)
    return replies.slice(1)
  }

  async function answersOf(engine: Engine, commands: Sequence, bytes: boolean): Promise<readonly unknown[]> {
    const replies = await send(engine, commands, bytes)
    return replies.map((reply, index) => comparable(reply, commands[index] ?? []))
  }

  async function answersToScript(engine: Engine, commands: Sequence, bytes: boolean): Promise<readonly unknown[]> {
    const [replies] = await send(engine, [{ script: calls, keys: [], args: [JSON.stringify(commands)] }], bytes)
    return (replies as unknown[]).map((reply, index) => comparable(reply, commands[index] ?? []))
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
      { seed, numRuns: 150 },
    )
  })

  test.each(Object.keys(inScripts) as (keyof typeof inScripts)[])('%s in scripts', async (name) => {
    await fc.assert(
      fc.asyncProperty(inScripts[name], fc.boolean(), async (commands, bytes) => {
        const [inMemory, fromReal] = await Promise.all([
          answersToScript(memory, commands, bytes),
          answersToScript(real, commands, bytes),
        ])
        expect(inMemory).toEqual(fromReal)
      }),
      { seed, numRuns: 100 },
    )
  })
})

const { transactions: _inNoScript, ...inScripts } = families

/** Does the commands that it is given and answers what it was answered. */
const calls = defineScript({
  name: 'calls',
  lua: `
local replies = {}
for at, command in ipairs(cjson.decode(ARGV[1])) do
  replies[at] = redis.pcall(unpack(command))
end
return replies`,
  inMemory(world, _keys, [commands]) {
    return (JSON.parse(String(commands)) as string[][]).map((command) => {
      try {
        return world.call(...command)
      } catch (error) {
        return error
      }
    })
  },
})

/**
 * Sets have no order, how long something was idle is never the same twice, and of integers beyond 2^53 a JavaScript
 * number knows the first places only, and one of Lua not even the sign.
 */
function comparable(reply: unknown, command: readonly string[]): unknown {
  if (reply instanceof ReplyError) return `error: ${reply.message.replace(/^(ERR unknown command '\w*').*/s, '$1')}`
  if (typeof reply === 'number' && Math.abs(reply) > Number.MAX_SAFE_INTEGER) {
    return Math.abs(reply).toPrecision(12)
  }
  if (!Array.isArray(reply)) return reply
  if (command[0] === 'SMEMBERS') return reply.map(String).sort()
  if (command[0] === 'XPENDING' && command.length > 3) return reply.map((entry: unknown[]) => entry.toSpliced(2, 1))
  return reply.map((part: unknown) => comparable(part, []))
}
