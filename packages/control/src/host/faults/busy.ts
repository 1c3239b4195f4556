/**
 * A script that reads no key, writes none and does not end: the engine burns CPU and answers nobody, and after five
 * seconds everybody with BUSY. It carries a timer of its own and ends by itself, whoever was killed meanwhile; before
 * its first BUSY an engine could not be told to end it anyway.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { EngineLink } from '../../engine/link.ts'
import { isRunning } from '../../proc.ts'
import { adminLink } from './admin-link.ts'
import type { FaultCase, FoundTarget } from './fault-file.ts'
import type { Injury } from './injury.ts'

// Later engines stop the clock for a script: there it ends after about as many calls as that time has room for.
const script = `
  local function now() local time = redis.call('TIME') return time[1] + time[2] / 1e6 end
  local began, most, calls, time = now(), tonumber(ARGV[1]), 0, 0
  repeat
    calls = calls + 1
    time = now() - began
  until time >= most or (time == 0 and calls >= most * 1e6)
  return 1`
const beginWithinMs = 5000
/** An idle engine answers within this on any machine; one that does not is busy. */
const silentMs = 300

export const busy: Injury = {
  inject: async (fault, over) => {
    const { order, scene } = fault
    for (const target of scene.targets) {
      const link = adminLink(target, fault)
      over.addEventListener('abort', () => link.close())
      const ended = link.command(['EVAL', script, '0', String(order.forMs / 1000)], null)
      await Promise.race([
        untilSilent(target, fault),
        ended.then(() => Promise.reject(new Error('the script ended at once'))),
      ])
      // Killed in the end, as it should be; nobody waits for its answer.
      ended.catch(() => {})
    }
  },
  heal: async (fault) => {
    for (const target of fault.scene.targets) {
      if (!isRunning(target)) continue
      const link = adminLink(target, fault)
      try {
        await endScript(link)
      } finally {
        link.close()
      }
    }
  },
}

async function untilSilent(target: FoundTarget, fault: FaultCase): Promise<void> {
  const deadline = performance.now() + beginWithinMs
  while (performance.now() < deadline) {
    const link = adminLink(target, fault)
    const answers = await link.command(['PING'], silentMs).then(
      () => true,
      () => false,
    )
    link.close()
    if (!answers) return
    await delay(20)
  }
  throw new Error(`${target.id} went on answering: its script did not run`)
}

/** Before its first BUSY an engine reads nobody's words, so this may have to be said again. */
async function endScript(link: EngineLink): Promise<void> {
  await link.command(['SCRIPT', 'KILL'], 2000).catch((error: unknown) => {
    if (!(error instanceof Error) || !error.message.includes('NOTBUSY')) throw error
  })
  await link.command(['PING'], 2000)
}
