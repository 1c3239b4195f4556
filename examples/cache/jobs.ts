/**
 * Jobs that are done at least once: a stream with a consumer group.
 *
 *     await addJob(cache, 'mails', { to: 'ada@example.com' }, { operation: order.id })
 *     const worker = startWorker(cache, 'mails', { name: hostname(), work: (job) => send(job) })
 *
 * A job stays in the stream until it was done. Who dies with a job in hand loses it to another after a while; what
 * fails comes again, and after some tries goes to a stream of its own, for people to look at.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type Cache, CacheError, type Direct, ReplyError, type StreamEntry, streamEntries } from '@holdfast/cache'

type Calls = Pick<Cache, 'on'>
export type Job = Readonly<Record<string, string>>

export interface WorkerOptions {
  /** Not the same in two processes that live at once. */
  readonly name: string
  /** May be called again for the same job; its id says so. */
  readonly work: (job: Job, id: string) => Promise<void>
  /** After which a job that was taken and not done is taken by another. Default 30 s; longer than any job. */
  readonly retryAfterMs?: number
  /** Default 5. */
  readonly tries?: number
  readonly onError?: (error: unknown) => void
}

const queueOf = (cache: Calls, queue: string): Direct => cache.on(`{jobs:${queue}}`)

/** Acknowledged when a replica has it, too. The same operation id adds one job. */
export function addJob(cache: Calls, queue: string, job: Job, options: { operation?: string; copies?: number } = {}) {
  const jobs = queueOf(cache, queue)
  const { operation, copies = 1 } = options
  return jobs.call<string>(['XADD', jobs.key('waiting'), '*', ...Object.entries(job).flat()], {
    durable: copies === 0 ? false : { copies },
    ...(operation === undefined ? {} : { operation }),
  })
}

export async function deadJobs(cache: Calls, queue: string): Promise<readonly StreamEntry[]> {
  const jobs = queueOf(cache, queue)
  return streamEntries(await jobs.call(['XRANGE', jobs.key('dead'), '-', '+', 'COUNT', 100]))
}

export function startWorker(cache: Calls, queue: string, options: WorkerOptions): { close(): Promise<void> } {
  const { name, work, retryAfterMs = 30_000, tries = 5, onError = () => {} } = options
  const jobs = queueOf(cache, queue)
  const [waiting, dead] = [jobs.key('waiting'), jobs.key('dead')]
  const state = { closing: false }

  async function makeGroup(): Promise<void> {
    await jobs.call(['XGROUP', 'CREATE', waiting, 'workers', '0', 'MKSTREAM']).catch((error: unknown) => {
      if (!isReply(error, 'BUSYGROUP')) throw error
    })
  }

  /** First what others left lying, then what nobody has taken yet. */
  async function take(): Promise<readonly StreamEntry[]> {
    const claim = ['XAUTOCLAIM', waiting, 'workers', name, retryAfterMs, '0-0', 'COUNT', 10] as const
    const left = streamEntries(await jobs.call(claim))
    if (left.length > 0) return left
    const read = ['XREADGROUP', 'GROUP', 'workers', name, 'COUNT', 10, 'BLOCK', 500, 'STREAMS', waiting, '>'] as const
    // It waits for jobs, so it has a connection of its own.
    return streamEntries(await jobs.call(read, { lane: `jobs-${queue}-${name}` }))
  }

  async function perform({ id, fields }: StreamEntry): Promise<void> {
    const done = [
      ['XACK', waiting, 'workers', id],
      ['XDEL', waiting, id],
    ]
    if (fields !== null) {
      const [pending] = await jobs.call<[unknown, unknown, unknown, number][]>([
        'XPENDING',
        waiting,
        'workers',
        id,
        id,
        1,
      ])
      // Nobody has it any more: another was faster.
      if (pending === undefined) return
      if (pending[3] > tries) {
        await jobs.transaction([['XADD', dead, 'MAXLEN', '~', 10_000, '*', ...Object.entries(fields).flat()], ...done])
        return
      }
      // What throws stays taken, and comes again.
      await work(fields, id)
    }
    await jobs.transaction(done)
  }

  async function run(): Promise<void> {
    let grouped = false
    while (!state.closing) {
      try {
        if (!grouped) await makeGroup()
        grouped = true
        for (const entry of await take()) if (!state.closing) await perform(entry).catch(onError)
      } catch (error) {
        // The stream is gone, with an engine that was started empty: it is made anew.
        if (isReply(error, 'NOGROUP')) grouped = false
        else if (error instanceof CacheError && error.code === 'CLOSED') return
        onError(error)
        await delay(200)
      }
    }
  }

  const running = run()
  return {
    async close() {
      state.closing = true
      await running
    },
  }
}

const isReply = (error: unknown, word: string): boolean =>
  error instanceof CacheError && error.cause instanceof ReplyError && error.cause.word === word
