import { mkdirSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EngineBinary } from '../../packages/control/src/binary/find.ts'
import { findEngine } from '../../packages/control/src/binary/find.ts'

/** One place for all tests to keep a fetched engine, so that it is fetched once. */
export const enginesHome = process.env['HOLDFAST_TEST_HOME'] ?? join(tmpdir(), 'holdfast-test-engines')

export function findTestEngine(): Promise<EngineBinary> {
  const world = { home: enginesHome, path: process.env['PATH'] ?? '', progress: (line: string) => console.log(line) }
  return findEngine({ flavor: 'auto', version: null, path: null }, world)
}

/** Lets a fresh home use the engine that was fetched for all tests. */
export function shareEngines(home: string): void {
  mkdirSync(join(enginesHome, 'engines'), { recursive: true })
  symlinkSync(join(enginesHome, 'engines'), join(home, 'engines'))
}

let nextBase = 12_000 + (process.pid % 80) * 100

/** The first of `count` ports that are free, with their bus ports; below the ports that the system hands out. */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < 500; tries++) {
    const base = nextBase
    nextBase = nextBase + count > 21_500 ? 12_000 : nextBase + count
    const ports = Array.from({ length: count }, (_, index) => [base + index, base + index + 10_000]).flat()
    const free = await Promise.all(ports.map(isFree))
    if (free.every(Boolean)) return base
  }
  throw new Error(`no ${count} free ports in a row`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
