/**
 * A frozen engine is killed by its agent, and is dead from then on. It would otherwise wake up later as a primary that
 * nobody elected. A busy one is left alone: the engine itself fails healthy primaries over for a slow script.
 */
import { logsWrites } from '../persist-on.ts'
import type { NodePicture } from '../picture.ts'
import type { Spec } from '../spec.ts'
import { formatDuration } from '../units.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'

/** At most one such kill a shard in this time: what freezes again at once has another cause. */
export const fenceEveryMs = 600_000

/** A shorter silence is an answer under way. */
const worthTellingMs = 250

export function planFence({ picture, spec }: PlanInput): Step {
  const groups = [...picture.shards.map(({ nodes }) => nodes), ...picture.chained.map((node) => [node])]
  const steps = groups.flatMap((nodes) => {
    const fencedAt = Math.max(...nodes.map((node) => node.agent?.fencedAt ?? Number.NEGATIVE_INFINITY))
    return nodes.map((node) => fenceNode(node, picture.at - fencedAt, picture.at, spec))
  })
  const first = steps.find((step) => step.actions.length > 0)
  return first ?? join(steps)
}

function fenceNode(node: NodePicture, sinceFenceMs: number, now: number, spec: Spec): Step {
  const { timeouts } = spec
  const { engine, agent } = node.seen
  if (engine.kind !== 'silent')
    return node.life === 'busy' ? wait(`${node.id} is busy with a script: left alone`) : idle
  const silentMs = now - engine.since
  const silence = `${node.id} has not answered for ${formatDuration(silentMs)}`
  if (node.life === 'silent') {
    if (silentMs < worthTellingMs) return { ...idle, lookAgainMs: worthTellingMs - silentMs }
    const proofMs = timeouts.frozenAfter - silentMs
    return wait(`${silence}: suspicion only`, proofMs > 0 ? proofMs + 5 : 250)
  }
  if (node.life === 'busy') {
    const long = silentMs >= timeouts.busyAfter ? ', longer than busyAfter' : ''
    return wait(`${silence} but burns CPU: busy, left alone${long}`, 250)
  }
  if (node.life !== 'frozen' || agent?.process.state !== 'running') return idle
  const { pid, startTime, stopped } = agent.process
  const frozen = `${silence} and ${stopped ? 'is stopped' : 'uses no CPU'}: frozen`
  if (sinceFenceMs < fenceEveryMs) {
    return wait(
      `${frozen}, but ${node.shard} had a frozen engine killed ${formatDuration(sinceFenceMs)} ago: not again yet`,
    )
  }
  const fence = { kind: 'fence', node: node.id, pid, startTime } as const
  if (node.place.chained === true) return act(`${frozen}, killing it to start it again`, [fence])
  if (spec.topology !== 'standalone') {
    return act(`${frozen}, killing it so that it cannot wake up as a second primary`, [fence])
  }
  // Nobody is there to be a second primary: it is killed only to be started again, and not where that costs its data.
  const mayLose = spec.use === 'cache' && spec.durability === 'cache'
  if (!logsWrites(spec) && !mayLose) {
    return wait(`${frozen}; killing it would cost what is only in its memory: left alone, continue or kill pid ${pid}`)
  }
  return act(`${frozen}, killing it to start it again`, [fence])
}
