/**
 * Where Sentinels watch, an engine's file lets it follow itself, so that whoever else starts it, a supervisor or a
 * person, gets one that takes no write and gives no copy. It is in the way of the one that shall run there: it is ended,
 * and from then on its node is dead as any other. What it was before is in the agent's record, untouched.
 */
import { everyCopy, followsItself } from '../picture.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle } from './step.ts'

export function planStray({ picture }: PlanInput): Step {
  const strays = everyCopy(picture).flatMap((node) => {
    const process = node.agent?.process
    if (process?.state !== 'running' || !followsItself(node.place, node.facts?.link)) return []
    return [{ kind: 'fence', node: node.id, pid: process.pid, startTime: process.startTime, stray: true } as const]
  })
  if (strays.length === 0) return idle
  const ids = strays.map(({ node }) => node).join(', ')
  return act(
    `${ids} follows itself, so somebody else has started it: ending it before it is taken for the primary`,
    strays,
  )
}
