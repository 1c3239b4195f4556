import { Readable } from 'node:stream'
import { HoldfastError } from '@holdfast/core'
import type { FastifyReply } from 'fastify'
import type { Clock } from '../clock.ts'

const heartbeatMs = 15_000

interface Bounds {
  readonly openMax: number
  /** A reader this far behind is cut off; it comes back and resumes where it was. */
  readonly backlogBytesMax: number
}

/** People's pages and terminals. */
const defaultBounds: Bounds = { openMax: 64, backlogBytesMax: 1024 ** 2 }

interface Frame {
  readonly id?: number
  readonly data: unknown
}

/** A frame whose data is JSON already, written once for many readers. */
interface Written {
  readonly id: string
  readonly text: string
}

/** One open stream of server-sent events. */
export interface Stream {
  /** False when the reader is too far behind and the stream was ended. */
  send(frame: Frame | Written): boolean
  end(): void
  /** Fires when the stream is over, whoever ended it. */
  readonly signal: AbortSignal
}

/** All open streams, so that their number is bounded and a stopping server can end them. */
export class Streams {
  readonly #clock: Clock
  readonly #bounds: Bounds
  readonly #open = new Set<Stream>()

  constructor(clock: Clock, bounds = defaultBounds) {
    this.#clock = clock
    this.#bounds = bounds
  }

  /** `alive` is asked before each frame and each heartbeat: a stream outlives neither its session nor its subject. */
  open(reply: FastifyReply, alive: () => boolean): Stream {
    const { openMax, backlogBytesMax } = this.#bounds
    if (this.#open.size >= openMax) {
      throw new HoldfastError('UNREACHABLE_CONTROLLER', `${openMax} streams are open: close some pages`)
    }
    const over = new AbortController()
    const readable = new Readable({ read: () => undefined })
    const end = () => {
      if (!over.signal.aborted) readable.push(null)
      over.abort()
    }
    const send = (chunk: string): boolean => {
      if (over.signal.aborted) return false
      if (alive() && readable.readableLength < backlogBytesMax) readable.push(chunk)
      else end()
      return !over.signal.aborted
    }
    const stream: Stream = { signal: over.signal, end, send: (frame) => send(formatFrame(frame)) }
    this.#open.add(stream)
    over.signal.addEventListener('abort', () => this.#open.delete(stream), { once: true })
    readable.once('close', () => over.abort())

    reply.headers({ 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' })
    void reply.send(readable)
    send('retry: 1000\n\n')
    void this.#beat(stream, () => send(': heartbeat\n\n'))
    return stream
  }

  /** Tells a dead connection from a quiet one. Never rejects: sleeping and sending do not throw. */
  async #beat(stream: Stream, beat: () => boolean): Promise<void> {
    do await this.#clock.sleep(heartbeatMs, stream.signal)
    while (!stream.signal.aborted && beat())
  }

  endAll(): void {
    for (const stream of this.#open) stream.end()
  }
}

/** JSON has no raw line breaks, so a frame's data is always one line. */
const formatFrame = (frame: Frame | Written): string => {
  const text = 'text' in frame ? frame.text : JSON.stringify(frame.data)
  return `${frame.id === undefined ? '' : `id: ${frame.id}\n`}data: ${text}\n\n`
}
