import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import type { Job } from '@holdfast/core'
import type { EngineBinary } from '../../binary/engine-binary.ts'
import type { Clock } from '../../clock.ts'
import { fetchFile } from './fetch.ts'
import type { Watch } from './hash-file.ts'
import { partOf } from './paths.ts'
import { sealBackup } from './seal.ts'
import { tidy } from './shelf.ts'
import { takeSnapshot } from './snapshot.ts'
import { verifyBackup } from './verify.ts'

/** Distinguishes what this process writes from what one before it has left. */
const writer = randomBytes(4).toString('hex')

/** The node that a long work is of. */
export interface Workplace {
  readonly deployment: string
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

/** Does one long work, and answers what came of it, in words. */
export async function work(job: Job, at: Workplace, watch: Watch): Promise<string> {
  const { node, nodeDir, dataDir, binary, scratch, clock, command, lastWords } = at
  switch (job.kind) {
    case 'snapshot': {
      const { flavor, version } = binary
      const wallNow = (): number => clock.wall()
      return takeSnapshot(
        job,
        { node, dataDir, engine: { flavor, version }, command, lastWords, wallNow, writer },
        watch,
      )
    }
    case 'seal':
      return sealBackup(job, clock.wall())
    case 'verify': {
      const { verdict, because } = await verifyBackup(job, { binary, scratch }, clock, watch)
      return `${verdict}: ${because}`
    }
    case 'tidy':
      return tidy(job.directory, at.deployment, job.keep)
    case 'discard':
      rmSync(partOf(job.directory, job.backup), { recursive: true, force: true })
      return 'removed'
    case 'fetch':
      return fetchFile(job, { nodeDir, binary, scratch, writer }, watch)
    default:
      return job satisfies never
  }
}
