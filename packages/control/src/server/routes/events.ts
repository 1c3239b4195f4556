import type { HoldfastEvent } from '@holdfast/core'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { type Fields, usage, wholeNumber } from '../body.ts'
import type { Platform } from '../platform.ts'
import type { Streams } from '../stream.ts'

interface Options {
  readonly platform: Platform
  readonly streams: Streams
}

interface Asked {
  readonly filter: { deployment?: string }
  readonly limit: number
  /** Events after this seq; undefined asks for the last ones. */
  readonly after: number | undefined
}

const batch = 500
const seqMax = Number.MAX_SAFE_INTEGER

/** The ordered log: as JSON, or as server-sent events that never skip one, also across a lost connection. */
export const eventRoutes: FastifyPluginAsync<Options> = async (app, { platform, streams }) => {
  app.get<{ Querystring: Fields }>('/events', async (request, reply) => {
    const asked = parseAsked(request)
    if (request.headers.accept?.includes('application/json') === true) return { events: firstEvents(asked) }
    return stream(request, reply, asked)
  })

  function firstEvents({ filter, limit, after }: Asked): HoldfastEvent[] {
    return after === undefined
      ? platform.events.latest({ ...filter, limit })
      : platform.events.since(after, { ...filter, limit })
  }

  function stream({ caller }: FastifyRequest, reply: FastifyReply, asked: Asked): FastifyReply {
    const out = streams.open(reply, () => caller.kind !== 'nobody' && caller.alive())
    const send = (event: HoldfastEvent) => out.send({ id: event.seq, data: event })
    // Reading the past and subscribing happen in one breath: nothing can be appended in between.
    const newest = platform.events.latest({ limit: 1 }).at(-1)?.seq ?? 0
    // A seq from the future is from a log that was since removed: start over.
    if (asked.after === undefined || asked.after > newest) {
      for (const event of platform.events.latest({ ...asked.filter, limit: asked.limit })) send(event)
    } else {
      sendSince(asked.after, asked.filter, send)
    }
    const stop = platform.events.subscribe((event) => {
      if (asked.filter.deployment === undefined || asked.filter.deployment === event.deployment) send(event)
    })
    if (out.signal.aborted) stop()
    else out.signal.addEventListener('abort', stop, { once: true })
    return reply
  }

  /** In batches; a reader too far behind is cut off by the stream and asks again from where it got to. */
  function sendSince(after: number, filter: Asked['filter'], send: (event: HoldfastEvent) => boolean): void {
    let events: HoldfastEvent[]
    let seq = after
    do {
      events = platform.events.since(seq, { ...filter, limit: batch })
      seq = events.at(-1)?.seq ?? seq
    } while (events.every(send) && events.length === batch)
  }
}

function parseAsked({ query, headers }: FastifyRequest<{ Querystring: Fields }>): Asked {
  const { deployment } = query
  if (deployment !== undefined && typeof deployment !== 'string') throw usage('deployment: one name')
  const resumed = headers['last-event-id']
  return {
    filter: deployment === undefined ? {} : { deployment },
    limit: wholeNumber(query, 'limit', { min: 1, max: 1000 }) ?? 100,
    after:
      typeof resumed === 'string' && /^\d{1,15}$/.test(resumed)
        ? Number(resumed)
        : wholeNumber(query, 'after', { min: 0, max: seqMax }),
  }
}
