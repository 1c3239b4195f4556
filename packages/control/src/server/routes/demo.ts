import { type DemoAction, demoActions, HoldfastError } from '@holdfast/core'
import type { FastifyPluginAsync } from 'fastify'
import { oneOf, parseFields } from '../body.ts'
import { actorOf } from '../caller.ts'
import type { DemoDoor } from '../demo-door.ts'
import type { Streams } from '../stream.ts'

interface Options {
  /** Undefined where no demonstration runs, or not yet. */
  readonly demo: () => DemoDoor | undefined
  readonly streams: Streams
}

const actions = Object.keys(demoActions) as DemoAction[]

/** The demonstration: what it shows, and its buttons. */
export const demoRoutes: FastifyPluginAsync<Options> = async (app, { demo, streams }) => {
  app.get('/demo', async () => running().state())

  app.get('/demo/watch', async ({ caller }, reply) => {
    const door = running()
    const stream = streams.open(reply, () => caller.kind !== 'nobody' && caller.alive() && demo() === door)
    const stop = door.onFrame((frame) => void stream.send({ data: frame }))
    if (stream.signal.aborted) stop()
    else stream.signal.addEventListener('abort', stop, { once: true })
    stream.send({ data: { kind: 'state', state: door.state() } })
    return reply
  })

  app.post('/demo/actions', async ({ body, caller }) => {
    const action = oneOf(parseFields(body, ['action']), 'action', actions)
    return { did: await running().press(action, actorOf(caller)) }
  })

  app.post('/demo/stop-fault', async ({ caller }) => ({ did: await running().stopFault(actorOf(caller)) }))

  function running(): DemoDoor {
    const door = demo()
    if (door === undefined) {
      throw new HoldfastError('NOT_FOUND', 'no demonstration runs here: "holdfast demo" starts one')
    }
    return door
  }
}
