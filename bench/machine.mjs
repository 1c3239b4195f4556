// @ts-check
import { cpus, loadavg, release, totalmem } from 'node:os'

/**
 * What the figures depend on, beside the code.
 *
 * @param {{ flavor: string, version: string }} engine
 */
export const describeMachine = (engine) => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: cpus().length,
  memoryMb: Math.round(totalmem() / 1024 ** 2),
  kernel: release(),
  node: process.version,
  engine: `${engine.flavor} ${engine.version}`,
  at: new Date().toISOString(),
  loadAverage: loadavg().map((load) => Number(load.toFixed(2))),
})
