/**
 * The process that a fault lives in. It is given its order and the passwords on stdin, writes down what it is about to
 * do, does it, says so in one line, and waits for its own timer; then it heals and ends. It belongs to nobody: the fault
 * heals although the drill, the controller and everybody else were killed meanwhile. If it is killed itself, what it
 * wrote down is enough for the next controller.
 */
import { existsSync, rmSync, writeSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { systemClock } from '../../clock.ts'
import type { FaultCase, FaultRecord } from './fault-file.ts'
import { recordOf, writeFault } from './fault-file.ts'
import type { Injury } from './injury.ts'
import { injuryOf } from './injury.ts'
import type { KeeperTask, KeeperWord } from './start-keeper.ts'

/** So that the answer to whoever asked for the controller's death is on its way before it dies. */
const tellFirstMs = 250
const healAgainMs = 500
/** After this, what is left is left to the controller, which tries on. */
const healWithinMs = 60_000

async function keep({ path, notAfter, ...fault }: KeeperTask): Promise<void> {
  const { order } = fault
  const injury = await injuryOf(order.fault)
  const over = new AbortController()
  process.on('SIGTERM', () => over.abort())
  const record = recordOf(fault, systemClock.wall() + (injury.tellsFirst === true ? tellFirstMs : 0))
  let isTold = false
  try {
    writeFault(path, record)
    if (systemClock.now() > notAfter) throw new Error('it came too late: nothing was done')
    if (injury.tellsFirst === true) {
      say({ injectedAt: record.injectedAt })
      isTold = true
      await systemClock.sleep(tellFirstMs)
    }
    await injury.inject(fault, over.signal)
  } catch (error) {
    over.abort()
    const left = await healAll(injury, fault, path, record)
    // Whoever was told that it is there looks for it, and finds why it is not.
    if (isTold) note(path, { ...record, trouble: messageOf(error), healedAt: Math.round(systemClock.wall()) })
    else if (left === null) rmSync(path, { force: true })
    return say({ trouble: messageOf(error) })
  }
  // It began when the first thing was done, and lasts from when the last was.
  const injected = { ...record, healsAt: Math.round(systemClock.wall()) + order.forMs }
  note(path, injected)
  say({ injectedAt: record.injectedAt })
  if (order.forMs > 0) await systemClock.sleep(order.forMs, over.signal)
  over.abort()
  await healAll(injury, fault, path, injected)
}

/** Heals until nothing is left, or it has taken too long. Answers what is left, and writes it down. */
async function healAll(injury: Injury, fault: FaultCase, path: string, record: FaultRecord): Promise<string | null> {
  const deadline = systemClock.now() + healWithinMs
  for (;;) {
    const trouble = await injury.heal(fault).then(() => null, messageOf)
    note(path, { ...record, trouble, healedAt: trouble === null ? Math.round(systemClock.wall()) : null })
    if (trouble === null || systemClock.now() > deadline) return trouble
    await systemClock.sleep(healAgainMs)
  }
}

/** A full disk must not keep a fault from being healed, and a home that was removed is not made again. */
function note(path: string, record: FaultRecord): void {
  if (!existsSync(path)) return
  try {
    writeFault(path, record)
  } catch {
    // What was written before still says enough to heal it again, and that does no harm.
  }
}

/** In one line. Whoever started this may be gone by now. */
function say(word: KeeperWord): void {
  try {
    writeSync(1, `${JSON.stringify(word)}\n`)
  } catch {
    // Nobody reads any more, and the fault goes on to its end.
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

await keep(JSON.parse(await text(process.stdin)) as KeeperTask)
process.exit(0)
