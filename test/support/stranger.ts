import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { readProcess } from '../../packages/control/src/proc.ts'
import type { TestDeployment } from './deployment.ts'
import { findTestEngine } from './engines.ts'
import { eventually } from './eventually.ts'

/** A kill -9, and what a supervisor does then: it starts the engine again by its file, at once, as quick as it can. */
export async function bounce(it: TestDeployment, id: string): Promise<void> {
  const data = it.place.dataDir(it.name, id)
  const { server, env } = await findTestEngine()
  const pid = it.place.pidOf(it.name, id) ?? 0
  it.kill(id)
  await eventually(() => ['Z', undefined].includes(readProcess(pid)?.state), { what: 'its end' })
  const config = join(data, '..', 'engine.conf')
  const child = spawn(server, [config], { cwd: data, env: { ...process.env, ...env }, detached: true, stdio: 'ignore' })
  child.unref()
}
