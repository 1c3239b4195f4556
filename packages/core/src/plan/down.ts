/**
 * A deployment that shall be down: replicas first, or they would elect one of themselves. Where a primary writes nothing
 * to its disk it goes first: it ends only when its replicas have all it had, and they write that down.
 */
import type { Action } from '../action.ts'
import { proxyId } from '../document.ts'
import { writesOnSome } from '../persist-on.ts'
import type { NodePicture } from '../picture.ts'
import { everyCopy } from '../picture.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, wait } from './step.ts'

export function planDown({ picture, spec, document }: PlanInput): Step {
  // Sentinels first: the others going down would look to them like deaths. With them the proxy, and what comes by it.
  const proxy = picture.proxy === null ? [] : [{ id: proxyId, gone: picture.proxy.gone }]
  const watching = [...proxy, ...picture.sentinels].filter(({ gone }) => !gone)
  if (watching.length > 0) {
    return act(
      `shall be down: stopping ${watching.map(({ id }) => id).join(', ')}`,
      watching.map(({ id }): Action => ({ kind: 'stop', node: id, save: false })),
    )
  }
  const all = [...everyCopy(picture), ...picture.leaving, ...picture.spares]
  const running = all.filter((node) => !node.gone || isLingering(node))
  if (running.length === 0)
    return document.purge
      ? purgeAll([...proxy, ...document.nodes, ...(document.sentinels ?? [])].map(({ id }) => id))
      : idle
  // One that loads or starts can be asked to stop as well; one that does not answer is given its time.
  const askable = running.filter((node) => ['alive', 'loading', 'starting'].includes(node.life))
  const role = writesOnSome(spec) ? 'primary' : 'replica'
  const first = askable.filter((node) => node.facts?.role === role)
  const next = first.length > 0 ? first : askable
  if (next.length === 0) return wait(`${running.map(({ id }) => id).join(', ')} shall stop and cannot be asked`, 250)
  // An append-only file is complete when the engine stops; a snapshot has to be taken.
  const save = spec.persistence === 'rdb'
  return act(
    `shall be down: stopping ${next.map(({ id }) => id).join(', ')}`,
    next.map((node): Action => ({ kind: 'stop', node: node.id, save })),
  )
}

/** Killed, and kept by a stalled disk: its directory is still in use. */
const isLingering = ({ agent }: NodePicture): boolean => agent?.process.state === 'dead' && agent.process.lingering

const purgeAll = (nodes: readonly string[]): Step =>
  act(
    'down, and its data shall go',
    nodes.map((node): Action => ({ kind: 'purge', node })),
  )
