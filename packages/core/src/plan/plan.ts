import type { Action, Plan } from '../action.ts'
import type { Pause } from '../document.ts'
import { pauseAt } from '../document.ts'
import { judgeReadiness } from '../readiness.ts'
import type { Spec } from '../spec.ts'
import { planAccess } from './access.ts'
import { planAttach } from './attach.ts'
import { planBirth } from './birth.ts'
import { planCertify, planRenewal } from './certify.ts'
import { planChained } from './chained.ts'
import { planConfigure } from './configure.ts'
import { planDown } from './down.ts'
import { planDrain } from './drain.ts'
import { planEmptyShards } from './empty-shards.ts'
import { planFailover } from './failover.ts'
import { planFence } from './fence.ts'
import { planFullDisk } from './full-disk.ts'
import { planHomecoming } from './homecoming.ts'
import { planLastCopy } from './last-copy.ts'
import { planLeftovers } from './leftovers.ts'
import { planLetGo } from './let-go.ts'
import { planLift } from './lift.ts'
import { planFollow, planForget, planMeet, planRemind } from './members.ts'
import { haltMoves } from './moving.ts'
import { planOperations } from './operations.ts'
import { throughSentinels } from './passage.ts'
import { planPersistence } from './persistence.ts'
import { planPriority, planPromotion } from './promotion.ts'
import { planPoint, planProxy } from './proxy.ts'
import { planRelocate } from './relocate.ts'
import { planRemake } from './remake.ts'
import { planReplace, replacing } from './restore.ts'
import { planRetire } from './retire.ts'
import { planSentinels, planTidy, planWatch } from './sentinels.ts'
import { planSlots } from './slots.ts'
import { planSpares } from './spares.ts'
import { planSpreadVotes } from './spread-votes.ts'
import { planStart } from './start.ts'
import type { PlanInput, Step } from './step.ts'
import { idle, join, soonest } from './step.ts'
import { planStray } from './stray.ts'
import { planSurplus } from './surplus.ts'
import { planVacate } from './vacate.ts'
import { planWriteGuard } from './write-guard.ts'

type Rule = (input: PlanInput) => Step

/** In the order of urgency: what makes a shard writable again comes before what completes or tidies. */
const clusterRules: readonly Rule[] = [
  planFence,
  planFailover,
  planLift,
  planFullDisk,
  planStart,
  planLetGo,
  planBirth,
  planHomecoming,
  planMeet,
  planFollow,
  planForget,
  planRetire,
  planSpares,
  planSlots,
  planPersistence,
  planCertify,
  planAccess,
  planConfigure,
  planWriteGuard,
  planRemind,
  planDrain,
  planLeftovers,
  planEmptyShards,
  planSurplus,
  planRemake,
  planVacate,
  planRelocate,
  planOperations,
  planSpreadVotes,
]

const rulesOf: Readonly<Record<Spec['topology'], readonly Rule[]>> = {
  cluster: clusterRules,
  sentinel: [
    planStray,
    planFence,
    planPromotion,
    planLift,
    planLastCopy,
    planPoint,
    planStart,
    planSentinels,
    planProxy,
    planWatch,
    planAttach,
    planChained,
    planPriority,
    planRetire,
    planTidy,
    planSpares,
    planPersistence,
    planCertify,
    planAccess,
    planConfigure,
    planRenewal,
    (input) => throughSentinels(planDrain(input), input),
    planLeftovers,
    planSurplus,
    planRemake,
    planVacate,
    (input) => throughSentinels(planOperations(input), input),
  ],
  standalone: [
    planFence,
    planLift,
    planStart,
    planProxy,
    planPersistence,
    planCertify,
    planAccess,
    planConfigure,
    planLeftovers,
    planOperations,
  ],
}

/** How soon to look again while not ready and nothing to do: the engines are busy telling each other. */
const settlingMs = 50

/**
 * One turn's plan. The first rule with something to do decides it; a plan is never continued, only made anew. While
 * somebody has paused the deployment it says what it would do, and does nothing; what a person has asked for after that,
 * that it shall be down, is done all the same.
 */
export function planTurn(input: PlanInput): Plan {
  if (input.document.wanted === 'down')
    return finish([firstActing(planFence(input), planDown(input))], 'down, as wanted', null)
  const plan = planUp(input)
  const pause = pauseAt(input.document, input.wallNow)
  return pause === null ? plan : holdBack(plan, pause, haltMoves(input.picture))
}

function planUp(input: PlanInput): Plan {
  const restore = replacing(input.document)
  const replace = restore === null ? idle : planReplace(restore, input)
  // Nothing else may start or change an engine until the last one has stopped and all data is in its place.
  if (replace.because !== null) return finish([firstActing(planFence(input), replace)], replace.because, null)
  const steps: Step[] = []
  for (const rule of rulesOf[input.spec.topology]) {
    const step = rule(input)
    if (step.actions.length > 0) {
      const { actions, because, notes } = step
      return { actions, because: because ?? '', notes, lookAgainMs: 0, ...savedWith(step) }
    }
    steps.push(step)
  }
  const { ready, because } = judgeReadiness(input.picture)
  return finish(steps, because, ready === 'yes' ? null : settlingMs)
}

/** What is found out by looking is told as ever, and what goes on by itself is ended: slots stay where they are now. */
function holdBack(plan: Plan, { by, because }: Pause, halt: readonly Action[]): Plan {
  const would = plan.actions.length === 0 ? plan.because : `would do: ${plan.because}`
  return { actions: halt, because: `paused by ${by} (${because}): ${would}`, notes: plan.notes, lookAgainMs: null }
}

function finish(steps: readonly Step[], otherwise: string, lookAgainMs: number | null): Plan {
  const step = join(steps)
  return {
    actions: step.actions,
    because: step.because ?? otherwise,
    notes: step.notes,
    lookAgainMs: step.actions.length > 0 ? 0 : soonest([step.lookAgainMs, lookAgainMs]),
    ...savedWith(step),
  }
}

const savedWith = ({
  operations = [],
  places = [],
  secrets,
  engine,
  scale,
  certify,
}: Step): Pick<Plan, 'operations' | 'places' | 'secrets' | 'engine' | 'scale' | 'certify'> => ({
  ...(operations.length === 0 ? {} : { operations }),
  ...(places.length === 0 ? {} : { places }),
  ...(secrets === undefined ? {} : { secrets }),
  ...(engine === undefined ? {} : { engine }),
  ...(scale === undefined ? {} : { scale }),
  ...(certify === undefined ? {} : { certify }),
})

const firstActing = (...steps: readonly Step[]): Step => steps.find((step) => step.actions.length > 0) ?? join(steps)
