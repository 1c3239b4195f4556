import type { Plan } from '../action.ts'
import { judgeReadiness } from '../readiness.ts'
import type { Spec } from '../spec.ts'
import { planBirth } from './birth.ts'
import { planConfigure } from './configure.ts'
import { planDown } from './down.ts'
import { planFailover } from './failover.ts'
import { planFence } from './fence.ts'
import { planHomecoming } from './homecoming.ts'
import { planFollow, planForget, planMeet, planRemind } from './members.ts'
import { planSlots } from './slots.ts'
import { planStart } from './start.ts'
import type { PlanInput, Step } from './step.ts'
import { join, soonest } from './step.ts'

type Rule = (input: PlanInput) => Step

/** In the order of urgency: what makes a shard writable again comes before what completes or tidies. */
const clusterRules: readonly Rule[] = [
  planFence,
  planFailover,
  planStart,
  planBirth,
  planHomecoming,
  planMeet,
  planFollow,
  planForget,
  planSlots,
  planConfigure,
  planRemind,
]

const rulesOf: Readonly<Record<Spec['topology'], readonly Rule[]>> = {
  cluster: clusterRules,
  sentinel: [],
  standalone: [planFence, planStart, planConfigure],
}

/** How soon to look again while not ready and nothing to do: the engines are busy telling each other. */
const settlingMs = 50

/** One turn's plan. The first rule with something to do decides it; a plan is never continued, only made anew. */
export function planTurn(input: PlanInput): Plan {
  if (input.document.wanted === 'down')
    return finish([firstActing(planFence(input), planDown(input))], 'down, as wanted', null)
  const steps: Step[] = []
  for (const rule of rulesOf[input.spec.topology]) {
    const step = rule(input)
    if (step.actions.length > 0) {
      return { actions: step.actions, because: step.because ?? '', notes: step.notes, lookAgainMs: 0 }
    }
    steps.push(step)
  }
  const { ready, because } = judgeReadiness(input.picture)
  return finish(steps, because, ready === 'yes' ? null : settlingMs)
}

function finish(steps: readonly Step[], otherwise: string, lookAgainMs: number | null): Plan {
  const step = join(steps)
  return {
    actions: step.actions,
    because: step.because ?? otherwise,
    notes: step.notes,
    lookAgainMs: step.actions.length > 0 ? 0 : soonest([step.lookAgainMs, lookAgainMs]),
  }
}

const firstActing = (...steps: readonly Step[]): Step => steps.find((step) => step.actions.length > 0) ?? join(steps)
