import type { HoldfastEvent } from '@holdfast/core'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { type Fields, usage, wholeNumber } from '../body.ts'
import { refuseRole, seenBy } from '../caller.ts'
import type { Platform } from '../platform.ts'
import type { Streams } from '../stream.ts'

interface Options {
  readonly platform: Platform
  readonly streams: Streams
}

interface Asked {
  /** Undefined: all of them. */
  readonly deployments: readonly string[] | undefined
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

  function firstEvents({ deployments, limit, after }: Asked): HoldfastEvent[] {
    const found = filtersOf(deployments).flatMap((filter) =>
      after === undefined
        ? platform.events.latest({ ...filter, limit })
        : platform.events.since(after, { ...filter, limit }),
    )
    found.sort((a, b) => a.seq - b.seq)
    return after === undefined ? found.slice(-limit) : found.slice(0, limit)
  }

  function stream({ caller }: FastifyRequest, reply: FastifyReply, asked: Asked): FastifyReply {
    const out = streams.open(reply, () => caller.kind !== 'nobody' && caller.alive())
    const send = (event: HoldfastEvent) => out.send({ id: event.seq, data: event })
    // Reading the past and subscribing happen in one breath: nothing can be appended in between.
    const newest = platform.events.latest({ limit: 1 }).at(-1)?.seq ?? 0
    // A seq from the future is from a log that was since removed: start over.
    if (asked.after === undefined || asked.after > newest) {
      for (const event of firstEvents({ ...asked, after: undefined })) send(event)
    } else {
      sendSince({ ...asked, limit: batch }, asked.after, send)
    }
    const stop = platform.events.subscribe((event) => {
      if (asked.deployments?.includes(event.deployment) ?? true) send(event)
    })
    if (out.signal.aborted) stop()
    else out.signal.addEventListener('abort', stop, { once: true })
    return reply
  }

  /** In batches; a reader too far behind is cut off by the stream and asks again from where it got to. */
  function sendSince(asked: Asked, after: number, send: (event: HoldfastEvent) => boolean): void {
    let events: HoldfastEvent[]
    let seq = after
    do {
      events = firstEvents({ ...asked, after: seq })
      seq = events.at(-1)?.seq ?? seq
    } while (events.every(send) && events.length === batch)
  }
}

/** The log is asked for one deployment at a time, or for all. */
const filtersOf = (deployments: readonly string[] | undefined): { deployment?: string }[] =>
  deployments === undefined ? [{}] : deployments.map((deployment) => ({ deployment }))

function parseAsked({ query, headers, caller }: FastifyRequest<{ Querystring: Fields }>): Asked {
  const { deployment } = query
  if (deployment !== undefined && typeof deployment !== 'string') throw usage('deployment: one name')
  if (deployment !== undefined) refuseRole(caller, 'viewer', deployment)
  const resumed = headers['last-event-id']
  return {
    deployments: deployment === undefined ? (seenBy(caller) ?? undefined) : [deployment],
    limit: wholeNumber(query, 'limit', { min: 1, max: 1000 }) ?? 100,
    after:
      typeof resumed === 'string' && /^\d{1,15}$/.test(resumed)
        ? Number(resumed)
        : wholeNumber(query, 'after', { min: 0, max: seqMax }),
  }
}
