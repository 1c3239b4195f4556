/**
 * The long works of one node, or of the shelf. Which there are is kept in a memory, an agent's on disk before one begins;
 * what runs, and how far, only this process knows. What the memory calls running and nobody here runs was interrupted, by
 * a kill or by another machine that does not answer, and waits to be begun again.
 */
import { rmSync } from 'node:fs'
import type { Job, JobSeen } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { explainDisk } from './disk.ts'
import type { Watch } from './hash-file.ts'
import { partOf } from './paths.ts'

const keptDefault = 8

interface JobMemory {
  /** As the memory is now: it may have been read anew since the last time. */
  read(): readonly JobSeen[]
  write(jobs: readonly JobSeen[]): void
}

/** What came of a long work, in words, and what it has left undone. */
export type JobResult = Pick<JobSeen, 'left'> & { readonly because: string }

export interface JobsOptions<Kind extends Job> {
  readonly memory: JobMemory
  /** How many that are over are remembered. Default: 8. */
  readonly keptMax?: number
  /** Does it, and answers what came of it, in words. */
  readonly run: (job: Kind, watch: Watch) => Promise<string | JobResult>
  readonly onEnd: () => void
}

interface Running<Kind extends Job> {
  readonly job: Kind
  readonly abort: AbortController
  bytes: number
}

export class Jobs<Kind extends Job> {
  readonly #options: JobsOptions<Kind>
  readonly #running = new Map<string, Running<Kind>>()

  constructor(options: JobsOptions<Kind>) {
    this.#options = options
  }

  seen(): readonly JobSeen[] {
    return this.#options.memory.read().map((job): JobSeen => {
      if (job.state !== 'running') return job
      const running = this.#running.get(job.id)
      return running === undefined ? { ...job, state: 'interrupted' } : { ...job, bytes: running.bytes }
    })
  }

  /**
   * Begins it, unless it runs or is done. What was moved may have been moved back, so a move is never done for good.
   * `gate` throws once another controller has taken over.
   */
  begin(job: Kind, gate: () => void): void {
    if (this.#running.has(job.id)) return
    if (job.kind !== 'move' && this.#options.memory.read().some(({ id, state }) => id === job.id && state === 'done'))
      return
    const running: Running<Kind> = { job, abort: new AbortController(), bytes: 0 }
    this.#note({ ...factsOf(job), state: 'running', bytes: 0, because: null })
    this.#running.set(job.id, running)
    const { signal } = running.abort
    const watch: Watch = {
      guard: () => {
        signal.throwIfAborted()
        gate()
      },
      progress: (bytes) => {
        running.bytes = bytes
      },
    }
    void this.#work(running, watch)
  }

  /** Ends one that nobody wants any more; what it has written goes with it. */
  end(id: string): void {
    const running = this.#running.get(id)
    const stopped = new HoldfastError('REFUSED_EXPIRED', 'nobody wants it any more')
    if (running !== undefined) running.abort.abort(stopped)
    else this.#forget(id)
  }

  /** Lets go of all: whoever comes next finds them interrupted. */
  close(): void {
    for (const { abort } of this.#running.values()) abort.abort(new HoldfastError('REFUSED_EXPIRED', 'the agent ends'))
    this.#running.clear()
  }

  async #work(running: Running<Kind>, watch: Watch): Promise<void> {
    const { job, abort } = running
    const end = (state: 'done' | 'failed', result: JobResult): void => {
      // After `close`, or with another controller at work, what became of it is no longer ours to say.
      if (this.#running.get(job.id) !== running) return
      this.#running.delete(job.id)
      this.#note({ ...factsOf(job), state, bytes: running.bytes, ...result })
      this.#options.onEnd()
    }
    try {
      const result = await this.#options.run(job, watch)
      end('done', typeof result === 'string' ? { because: result } : result)
    } catch (error) {
      if (error instanceof HoldfastError && interruptions.includes(error.code)) {
        if (this.#running.get(job.id) !== running) return
        this.#running.delete(job.id)
        return this.#options.onEnd()
      }
      const directory = directoryOf(job)
      if (this.#running.get(job.id) === running && abort.signal.aborted && job.kind === 'snapshot') {
        if (directory !== null) rmSync(partOf(directory, job.backup), { recursive: true, force: true })
      }
      end('failed', { because: messageOf(directory === null ? error : explainDisk(error, directory, 'this')) })
    }
  }

  #note(job: JobSeen): void {
    const others = this.#options.memory.read().filter(({ id }) => id !== job.id)
    this.#options.memory.write([...others, job].slice(-(this.#options.keptMax ?? keptDefault)))
  }

  #forget(id: string): void {
    this.#options.memory.write(this.#options.memory.read().filter((job) => job.id !== id))
  }
}

const factsOf = (job: Job): Pick<JobSeen, 'id' | 'kind' | 'slots'> => ({
  id: job.id,
  kind: job.kind,
  ...(job.kind === 'move' ? { slots: job.slots } : {}),
})

/** Somebody else acts now, or the other machine does not answer: nothing of it has gone wrong for good. */
const interruptions: readonly string[] = ['REFUSED_STALE_EPOCH', 'UNREACHABLE_AGENT']

function directoryOf(job: Job): string | null {
  if ('directory' in job) return job.directory
  return 'from' in job ? job.from : null
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
