import type { Status } from '@holdfast/core'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../../clock.ts'
import { sees } from '../caller.ts'
import { Pace } from '../pace.ts'
import type { Platform } from '../platform.ts'
import type { Streams } from '../stream.ts'
import { type ByName, refuseUnknown } from './deployments.ts'

interface Options {
  readonly platform: Platform
  readonly streams: Streams
  readonly clock: Clock
}

/** Statuses as server-sent events: of one deployment, or of all. The current ones come first. */
export const watchRoutes: FastifyPluginAsync<Options> = async (app, { platform, streams, clock }) => {
  app.get<ByName>('/deployments/:name/watch', async (request, reply) => {
    const { name } = request.params
    refuseUnknown(platform, name)
    return watch(
      request,
      reply,
      (other) => other === name,
      () => platform.names().includes(name),
    )
  })

  app.get('/watch', async (request, reply) =>
    watch(
      request,
      reply,
      (name) => sees(request.caller, name),
      () => true,
    ),
  )

  function watch(
    { caller }: FastifyRequest,
    reply: FastifyReply,
    wants: (name: string) => boolean,
    exists: () => boolean,
  ): FastifyReply {
    const stream = streams.open(reply, () => caller.kind !== 'nobody' && caller.alive() && exists())
    const paces = new Map<string, Pace>()
    const offer = (status: Status) => {
      const pace = paces.get(status.name) ?? new Pace(clock, stream.signal, (data) => stream.send({ data }))
      paces.set(status.name, pace)
      pace.offer(status)
    }
    const stop = platform.onStatus((status) => {
      if (wants(status.name)) offer(status)
    })
    if (stream.signal.aborted) stop()
    else stream.signal.addEventListener('abort', stop, { once: true })
    for (const name of platform.names().filter(wants)) {
      const status = platform.status(name)
      if (status !== undefined) offer(status)
    }
    return reply
  }
}
