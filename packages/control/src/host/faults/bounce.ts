/**
 * What a supervisor does that knows nothing of clusters: the primary dies, and somebody else starts it again at once, on
 * the disk of another machine, as it were: with its configuration and its name, and without its data.
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { nodePaths } from '@holdfast/core'
import { isRunning } from '../../proc.ts'
import type { FaultCase, FoundTarget } from './fault-file.ts'
import type { Injury } from './injury.ts'
import { killAll } from './kill.ts'
import { listens } from './listens.ts'

/** systemd's own RestartSec, unless a unit says otherwise. */
const restartAfterMs = 100
const startWithinMs = 10_000

/** The heal is Holdfast's: it adopts the engine by its directory, or has started its own before. */
export const bounce: Injury = {
  inject: async ({ scene }) => {
    for (const target of scene.targets) {
      killAll([target])
      const killedAt = performance.now()
      while (isRunning(target)) await delay(1)
      takeData(target.nodeDir)
      await delay(Math.max(0, restartAfterMs - (performance.now() - killedAt)))
      await startAgain(target, scene.engine)
    }
  },
  heal: async () => {},
}

/** Everything but who the node is in the cluster, which it would not forget on a disk that lost only its newest files. */
function takeData(nodeDir: string): void {
  const { data } = nodePaths(nodeDir)
  const bounced = join(nodeDir, 'bounced')
  rmSync(bounced, { recursive: true, force: true })
  mkdirSync(bounced, { mode: 0o700 })
  for (const entry of readdirSync(data)) {
    if (entry !== 'nodes.conf') renameSync(join(data, entry), join(bounced, entry))
  }
}

/** Until it listens, or has ended: where Holdfast was quicker, its engine has the port, and this one leaves by itself. */
async function startAgain({ nodeDir, host, port }: FoundTarget, engine: FaultCase['scene']['engine']): Promise<void> {
  const { config, data } = nodePaths(nodeDir)
  if (!existsSync(config)) return
  const log = openSync(join(nodeDir, 'engine.log'), 'a', 0o600)
  const child = spawn(engine.server, [config], {
    cwd: data,
    env: { ...process.env, ...engine.env },
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  child.on('error', () => {})
  child.unref()
  const deadline = performance.now() + startWithinMs
  while (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
    if (performance.now() > deadline || (await listens(host, port))) return
    await delay(10)
  }
}
