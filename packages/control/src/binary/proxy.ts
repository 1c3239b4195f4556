import { HoldfastError } from '@holdfast/core'
import type { EngineWorld } from './engine-binary.ts'
import type { Program, ProgramKind } from './program.ts'
import { findProgram } from './program.ts'

/** Older ones cannot ask a server by its name. */
const oldestVersion = '2.4'

const haproxy: ProgramKind = {
  name: 'haproxy',
  package: 'haproxy',
  directory: 'usr/sbin',
  oldestVersion,
  versionArguments: ['-v'],
  versionPattern: /^HA-?Proxy version (\d+(?:\.\d+)+)/m,
  missing: (why, cause) =>
    new HoldfastError(
      'HOST_PROXY_MISSING',
      `expose.proxy needs HAProxy ${oldestVersion} or later, and ${why}. Install it ("apt-get install haproxy"), or leave expose.proxy out.`,
      {},
      cause,
    ),
}

/** Throws HOST_PROXY_MISSING, HOST_DISK_FULL or HOST_READ_ONLY. */
export const findProxy = (world: EngineWorld): Promise<Program> => findProgram(haproxy, world)
