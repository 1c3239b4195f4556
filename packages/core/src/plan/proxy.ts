/**
 * The proxy: that it runs with the file that is wanted, and hears at once who the primary is.
 *
 * It finds that out by itself, so that it does with no controller: it asks each engine what it is and, where Sentinels
 * watch, whom most of them name. Those tell up to a second after a promotion; the controller knows at once.
 */
import { proxyId } from '../document.ts'
import { servedBy } from '../render-proxy.ts'
import { formatDuration } from '../units.ts'
import { fenceEveryMs } from './fence.ts'
import { restOf } from './start.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, wait } from './step.ts'

export function planProxy({ picture, files }: PlanInput): Step {
  const { proxy } = picture
  if (proxy === null) return idle
  const { place, life, gone, agent } = proxy
  if (place === null) return remove(gone)
  if (life === 'frozen' && agent?.process.state === 'running') {
    const sinceMs = picture.at - (agent.fencedAt ?? Number.NEGATIVE_INFINITY)
    if (sinceMs < fenceEveryMs)
      return wait(`the proxy is frozen, but it was killed ${formatDuration(sinceMs)} ago: not again yet`)
    const { pid, startTime } = agent.process
    return act('the proxy is frozen, killing it to start it again', [{ kind: 'fence', node: proxyId, pid, startTime }])
  }
  const rendered = files.get(proxyId)
  if (rendered === undefined) return idle
  const rest = restOf('the proxy', agent, picture.at)
  if (gone)
    return rest ?? act('starting the proxy: it is not running', [{ kind: 'start', node: proxyId, files: rendered }])
  if (life !== 'alive' || agent?.loaded === rendered.config) return idle
  return rest ?? act('the proxy shall read its file again', [{ kind: 'reload', node: proxyId, files: rendered }])
}

/** Nobody wants it any more. */
function remove(gone: boolean): Step {
  return gone
    ? act('removing what the proxy has left', [{ kind: 'purge', node: proxyId }])
    : act('stopping the proxy: nobody wants it', [{ kind: 'stop', node: proxyId, save: false }])
}

/**
 * Told whenever it leads elsewhere: it finds that out by itself, and a second later. The word ends by itself as well, so
 * nobody has to take it back.
 */
export function planPoint({ picture, document, files }: PlanInput): Step {
  const { proxy, shards } = picture
  const primary = shards[0]?.primary
  if (proxy?.facts == null || primary?.facts?.role !== 'primary') return idle
  // A file of before may number other nodes.
  if (proxy.agent?.loaded !== files.get(proxyId)?.config) return idle
  const number = servedBy(document).findIndex(({ id }) => id === primary.id) + 1
  if (proxy.facts.primary === primary.id || proxy.facts.told === number) return idle
  const because = `the proxy leads to ${proxy.facts.primary ?? 'nobody'}: it hears that ${primary.id} is the primary`
  return act(because, [{ kind: 'point', node: proxyId, to: primary.id, number }])
}
