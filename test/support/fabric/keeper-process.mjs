// @ts-check
/**
 * Keeps a fabric's faults and its end. It is told on stdin, a line an order: what to remove in the end, what to break,
 * for how long, and how it heals. Each fault heals by a timer in here, and when stdin ends, for whatever reason, all is
 * healed and everything of the fabric is removed. So nothing stays behind when a test is killed, and no host stays cut.
 *
 * @typedef {readonly string[]} Command A program and its arguments; no shell.
 * @typedef {object} Fabric
 * @property {readonly string[]} namespaces
 * @property {readonly string[]} mounts
 * @property {readonly string[]} groups Folders of control groups.
 * @property {string} folder
 * @typedef {object} Order
 * @property {string} id
 * @property {readonly Command[]} inject
 * @property {readonly Command[]} heal Healing twice does no harm, and healing what is not broken neither.
 * @property {number} forMs
 * @property {number | null} everyMs A fault that comes and goes: as long broken as whole. Null: it stays.
 */
import { execFile } from 'node:child_process'
import { rmdirSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'

/** Removal is tried so often; what is in a namespace may start others while it is being killed. */
const tries = 50
const commandWithinMs = 10_000
/** However long somebody wants a fault: nothing here is broken for longer. */
const forMsMax = 120_000

/** @type {Fabric | undefined} */
let fabric
/** @type {Map<string, () => Promise<void>>} */
const healing = new Map()

/** @param {Command} command @returns {Promise<string>} */
const run = ([program = '', ...args]) =>
  new Promise((resolve, reject) => {
    execFile(program, args, { timeout: commandWithinMs }, (error, stdout) => (error ? reject(error) : resolve(stdout)))
  })

/** One after the other, whatever each of them says. @param {readonly Command[]} commands */
async function runAll(commands) {
  for (const command of commands) await run(command).catch(() => {})
}

/** Nobody may be listening any more. @param {unknown} word */
const say = (word) => process.stdout.write(`${JSON.stringify(word)}\n`)

/** Wall clock by a clock that does not jump. */
const now = () => performance.timeOrigin + performance.now()

/** @param {Order} order */
async function keep({ id, inject, heal, forMs, everyMs }) {
  const over = new AbortController()
  /** @type {(value: void) => void} */
  let isHealed = () => {}
  const healed = new Promise((resolve) => {
    isHealed = resolve
  })
  healing.set(id, () => {
    over.abort()
    return /** @type {Promise<void>} */ (healed)
  })
  const endsAt = now() + Math.min(forMs, forMsMax)
  try {
    const injectedAt = now()
    for (const command of inject) await run(command)
    say({ injected: id, at: injectedAt })
    while (!over.signal.aborted && now() < endsAt) {
      await delay(Math.min(everyMs ?? forMsMax, endsAt - now()), undefined, { signal: over.signal }).catch(() => {})
      if (everyMs === null || over.signal.aborted || now() >= endsAt) continue
      await runAll(heal)
      await delay(everyMs, undefined, { signal: over.signal }).catch(() => {})
      if (!over.signal.aborted && now() < endsAt) await runAll(inject)
    }
  } catch (error) {
    say({ trouble: id, because: error instanceof Error ? error.message : String(error) })
  }
  await runAll(heal)
  healing.delete(id)
  say({ healed: id, at: now() })
  isHealed()
}

async function remove() {
  await Promise.all([...healing.values()].map((heal) => heal()))
  if (fabric === undefined) return
  const { namespaces, mounts, groups, folder } = fabric
  for (const namespace of namespaces) {
    await killAllIn(namespace)
    await run(['ip', 'netns', 'del', namespace]).catch(() => {})
  }
  for (const mount of mounts) await run(['umount', '--lazy', mount]).catch(() => {})
  for (const group of groups) {
    try {
      rmdirSync(group)
    } catch {
      // It was never made, or somebody has removed it.
    }
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}

/** @param {string} namespace */
async function killAllIn(namespace) {
  for (let tried = 0; tried < tries; tried++) {
    const pids = (await run(['ip', 'netns', 'pids', namespace]).catch(() => '')).split('\n').filter(Boolean)
    if (pids.length === 0) return
    // What is frozen dies by this, too.
    await run(['kill', '-KILL', ...pids]).catch(() => {})
    await delay(20)
  }
}

// The terminal's Ctrl-C and a runner that ends its group are for the tests; stdin says when they have ended.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE']) process.on(signal, () => {})
process.stdout.on('error', () => {})

for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line)
  if ('fabric' in told) fabric = told.fabric
  if ('order' in told) void keep(told.order)
  if ('heal' in told) void healing.get(told.heal)?.()
}
await remove()
process.exit(0)
