import type { FastifyPluginAsync } from 'fastify'
import type { Platform, ToldTopology } from '../platform.ts'
import type { Streams } from '../stream.ts'
import { type ByName, refuseUnknown } from './deployments.ts'

/**
 * The topology feed of a deployment, for applications: the topology of now, then each that differs. A reader that comes
 * back with the id of what is still so hears nothing before something changes; whatever it missed, the last word is all
 * that it needs.
 */
export const topologyRoutes: FastifyPluginAsync<{ platform: Platform; feeds: Streams }> = async (
  app,
  { platform, feeds },
) => {
  app.get<ByName>('/deployments/:name/topology/stream', async ({ params: { name }, caller, headers }, reply) => {
    refuseUnknown(platform, name)
    const isAlive = () => caller.kind !== 'nobody' && caller.alive() && platform.names().includes(name)
    const feed = feeds.open(reply, isAlive)
    const send = (told: ToldTopology) => feed.send(told)
    const stop = platform.topology.subscribe(name, send)
    if (feed.signal.aborted) stop()
    else feed.signal.addEventListener('abort', stop, { once: true })
    const latest = platform.topology.latest(name)
    if (latest !== undefined && latest.id !== headers['last-event-id']) send(latest)
    return reply
  })
}
