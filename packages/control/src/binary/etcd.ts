import { HoldfastError } from '@holdfast/core'
import type { EngineWorld } from './engine-binary.ts'
import type { Program, ProgramKind } from './program.ts'
import { findProgram } from './program.ts'

/** The first whose gateway speaks `/v3`. */
const oldestVersion = '3.4'

const etcd: ProgramKind = {
  name: 'etcd',
  package: 'etcd-server',
  directory: 'usr/bin',
  oldestVersion,
  versionArguments: ['--version'],
  versionPattern: /^etcd Version: (\d+(?:\.\d+)+)/m,
  missing: (why, cause) =>
    new HoldfastError(
      'HOST_ETCD_MISSING',
      `several controllers need etcd ${oldestVersion} or later, and ${why}. Install it ("apt-get install etcd-server"), or name one that runs.`,
      {},
      cause,
    ),
}

/** Throws HOST_ETCD_MISSING, HOST_DISK_FULL or HOST_READ_ONLY. */
export const findEtcd = (world: EngineWorld): Promise<Program> => findProgram(etcd, world)
