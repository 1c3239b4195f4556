/**
 * The long works of one node. Which there are is kept in the agent's memory, on disk before one begins; what runs, and
 * how far, only this process knows. What the memory calls running and nobody here runs was interrupted by a kill, and
 * waits to be begun again.
 */
import { rmSync } from 'node:fs'
import type { Job, JobSeen } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { explainDisk } from './disk.ts'
import type { Watch } from './hash-file.ts'
import { partOf } from './paths.ts'

/** How many that are over are remembered. */
const keptMax = 8

interface JobMemory {
  /** As the memory is now: it may have been read anew since the last time. */
  read(): readonly JobSeen[]
  write(jobs: readonly JobSeen[]): void
}

export interface JobsOptions {
  readonly memory: JobMemory
  /** Does it, and answers what came of it, in words. */
  readonly run: (job: Job, watch: Watch) => Promise<string>
  readonly onEnd: () => void
}

interface Running {
  readonly job: Job
  readonly abort: AbortController
  bytes: number
}

export class Jobs {
  readonly #options: JobsOptions
  readonly #running = new Map<string, Running>()

  constructor(options: JobsOptions) {
    this.#options = options
  }

  seen(): readonly JobSeen[] {
    return this.#options.memory.read().map((job): JobSeen => {
      if (job.state !== 'running') return job
      const running = this.#running.get(job.id)
      return running === undefined ? { ...job, state: 'interrupted' } : { ...job, bytes: running.bytes }
    })
  }

  /** Begins it, unless it runs or is done. `gate` throws once another controller has taken over. */
  begin(job: Job, gate: () => void): void {
    if (this.#running.has(job.id)) return
    if (this.#options.memory.read().some(({ id, state }) => id === job.id && state === 'done')) return
    const running: Running = { job, abort: new AbortController(), bytes: 0 }
    this.#note({ id: job.id, kind: job.kind, state: 'running', bytes: 0, because: null })
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

  async #work(running: Running, watch: Watch): Promise<void> {
    const { job, abort } = running
    const end = (state: 'done' | 'failed', because: string): void => {
      // After `close`, or with another controller at work, what became of it is no longer ours to say.
      if (this.#running.get(job.id) !== running) return
      this.#running.delete(job.id)
      this.#note({ id: job.id, kind: job.kind, state, bytes: running.bytes, because })
      this.#options.onEnd()
    }
    try {
      end('done', await this.#options.run(job, watch))
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'REFUSED_STALE_EPOCH') {
        this.#running.delete(job.id)
        return
      }
      if (this.#running.get(job.id) === running && abort.signal.aborted && job.kind === 'snapshot') {
        rmSync(partOf(job.directory, job.backup), { recursive: true, force: true })
      }
      end('failed', messageOf(explainDisk(error, 'directory' in job ? job.directory : job.from, 'this')))
    }
  }

  #note(job: JobSeen): void {
    const others = this.#options.memory.read().filter(({ id }) => id !== job.id)
    this.#options.memory.write([...others, job].slice(-keptMax))
  }

  #forget(id: string): void {
    this.#options.memory.write(this.#options.memory.read().filter((job) => job.id !== id))
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
