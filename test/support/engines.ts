import { mkdirSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { WantedEngine } from '../../packages/control/src/binary/engine-binary.ts'
import type { EngineBinary } from '../../packages/control/src/binary/find.ts'
import { engineWorld, findEngine } from '../../packages/control/src/binary/find.ts'

/** One place for all tests to keep what they fetch, so that it is fetched once. */
export const programsHome = process.env['HOLDFAST_TEST_HOME'] ?? join(tmpdir(), 'holdfast-test-engines')

/** `valkey 8`, `valkey 9.1`: the engine that all tests run on. Default: the one that Holdfast chooses by itself. */
const asked = process.env['HOLDFAST_TEST_ENGINE'] ?? ''
const testEngine: WantedEngine = engineNamed(asked)

export const enginesHome = asked === '' ? programsHome : homeOfEngine(asked)

/** An engine that was asked for is alone in a folder of its own, so a home that shares it takes no other. */
export function homeOfEngine(name: string): string {
  return join(programsHome, name.replaceAll(' ', '-'))
}

export function engineNamed(name: string): WantedEngine {
  const [, flavor = 'auto', version = null] = /^(?:(valkey|redis)(?: (\d+(?:\.\d+)*))?)?$/.exec(name) ?? refuse(name)
  return { flavor: flavor === 'valkey' || flavor === 'redis' ? flavor : 'auto', version, path: null }
}

function refuse(name: string): never {
  throw new Error(`HOLDFAST_TEST_ENGINE is "${name}": name a flavor and a version, such as "valkey 8"`)
}

export function findTestEngine(wanted = testEngine, home = enginesHome): Promise<EngineBinary> {
  return findEngine(
    wanted,
    engineWorld(home, (line) => console.log(line)),
  )
}

/** Lets a fresh home use the engine that was fetched for all tests. */
export function shareEngines(home: string, from = enginesHome): void {
  mkdirSync(join(from, 'engines'), { recursive: true })
  symlinkSync(join(from, 'engines'), join(home, 'engines'))
}

/** Each worker of a test run looks in a range of its own, and begins where another run hardly does. */
const workers = 2
const portsEach = 4700
const firstPort = 12_000 + ((Number(process.env['VITEST_POOL_ID'] ?? 1) - 1) % workers) * portsEach
let nextBase = firstPort + (process.pid % 40) * 100

/** The first of `count` ports that are free, with their bus ports; below the ports that the system hands out. */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < 500; tries++) {
    const base = nextBase
    nextBase = nextBase + count > firstPort + portsEach ? firstPort : nextBase + count
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
