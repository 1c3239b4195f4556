import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import type { Endpoint, NodeJob, ShelfJob } from '@holdfast/core'
import type { EngineBinary } from '../../binary/engine-binary.ts'
import type { Clock } from '../../clock.ts'
import type { Admin } from '../change-engine.ts'
import { moveSlots } from '../move/move.ts'
import { collectPart } from './collect.ts'
import type { Far } from './far.ts'
import { fetchFile } from './fetch.ts'
import type { Watch } from './hash-file.ts'
import type { JobResult } from './jobs.ts'
import { partOf, takenPath } from './paths.ts'
import { sealBackup } from './seal.ts'
import { sendFile } from './send.ts'
import { tidy } from './shelf.ts'
import { takeSnapshot } from './snapshot.ts'
import { verifyBackup } from './verify.ts'

/** Distinguishes what this process writes from what one before it has left. */
const writer = randomBytes(4).toString('hex')

/** The node that a long work is of. */
export interface Workplace {
  /** Where its engine listens, and as whom the agent changes engines. */
  readonly endpoint: Endpoint
  readonly admin: Admin
  readonly node: string
  readonly nodeDir: string
  readonly dataDir: string
  /** Where engines are started for a trial. */
  readonly scratch: string
  readonly binary: EngineBinary
  readonly clock: Clock
  /** A command to its engine, while the work may still be done. */
  readonly command: (args: readonly string[], withinMs?: number) => Promise<unknown>
  readonly lastWords: () => string
}

/** Where the backups of a deployment are. */
export interface ShelfPlace {
  readonly deployment: string
  readonly scratch: string
  readonly binary: () => Promise<EngineBinary>
  readonly clock: Clock
  readonly far: Far
}

/** Does one long work, and answers what came of it, in words. */
export async function work(job: NodeJob, at: Workplace, watch: Watch): Promise<string | JobResult> {
  const { node, nodeDir, dataDir, binary, scratch, clock, command, lastWords } = at
  switch (job.kind) {
    case 'snapshot': {
      const { flavor, version } = binary
      const wallNow = (): number => clock.wall()
      const directory = job.directory ?? takenPath(nodeDir)
      return takeSnapshot(
        { ...job, directory },
        { node, dataDir, engine: { flavor, version }, command, lastWords, wallNow, writer },
        watch,
      )
    }
    case 'fetch':
      return fetchFile(job, { nodeDir, binary, scratch, writer }, watch)
    case 'move':
      return moveSlots(job, at, watch)
    case 'discard':
      return discard(job)
    default:
      return job satisfies never
  }
}

/** Does what is to be done on the shelf. */
export async function workOnShelf(
  job: ShelfJob,
  { deployment, clock, binary, scratch, far }: ShelfPlace,
  watch: Watch,
): Promise<string> {
  switch (job.kind) {
    case 'collect':
      return collectPart(job, { writer, far }, watch)
    case 'send':
      return sendFile(job, far, watch)
    case 'seal':
      return sealBackup(job, clock.wall())
    case 'verify': {
      const { verdict, because } = await verifyBackup(job, { binary: await binary(), scratch }, clock, watch)
      return `${verdict}: ${because}`
    }
    case 'tidy':
      return tidy(job.directory, deployment, job.keep)
    case 'discard':
      return discard(job)
    default:
      return job satisfies never
  }
}

function discard({ directory, backup }: Extract<NodeJob, { kind: 'discard' }>): string {
  rmSync(partOf(directory, backup), { recursive: true, force: true })
  return 'removed'
}
