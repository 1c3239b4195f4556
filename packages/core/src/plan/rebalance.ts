/**
 * Slots go to other shards until each has its share. What each shall have is decided once, when it begins: a plan that
 * was made anew on the way would move slots back and forth as loads change.
 */
import type { Rebalance } from '../operation.ts'
import { ended } from '../operation.ts'
import { judgeReadiness } from '../readiness.ts'
import { assignSlots } from '../rebalance/assign.ts'
import { movesBetween } from '../rebalance/moves.ts'
import { formatDuration } from '../units.ts'
import { describeMoves, describeStaying, failuresMax, moveTowards, staying } from './moving.ts'
import type { PlanInput, Step } from './step.ts'
import { record, wait } from './step.ts'

export function planRebalance(operation: Rebalance, input: PlanInput): Step {
  const { picture, document, wallNow } = input
  if (operation.state === 'asked' || operation.wanted === null) return begin(operation, input)
  const step = moveTowards(operation.wanted, operation, input)
  const told = `rebalance of ${document.name}`
  if (step === null) {
    const took = formatDuration(wallNow - (operation.beganAt ?? wallNow))
    const { id } = operation
    const because = `${told}: every shard has its share, in ${took}${describeStaying(staying(id, picture))}`
    return record(ended(operation, 'done', `${because}${describeMoves(id, picture)}`, wallNow))
  }
  if (!('actions' in step)) {
    const because = `${told} stopped after ${failuresMax} attempts: ${step.because}. What has moved stays where it is`
    return record(ended(operation, 'failed', because, wallNow))
  }
  return { ...step, because: `${told}: ${step.because}` }
}

function begin(operation: Rebalance, { picture, document, wallNow }: PlanInput): Step {
  const told = `rebalance of ${document.name}`
  const { ready, because } = judgeReadiness(picture)
  if (ready !== 'yes') return wait(`${told} waits: ${because}`, 250)
  const others = operation.wanted !== null && picture.shards.some(({ id }) => operation.wanted?.[id] === undefined)
  if (others) {
    const late = `${told} does not begin: ${document.name} has other shards by now. Ask for it again`
    return record(ended(operation, 'failed', late, wallNow))
  }
  const owned = new Map(picture.shards.map(({ id, slots }) => [id, slots]))
  const weights = new Map(picture.shards.map(({ id }) => [id, operation.weights[id] ?? 1]))
  const wanted = operation.wanted ?? Object.fromEntries(assignSlots({ owned, weights }))
  const moves = movesBetween(owned, new Map(Object.entries(wanted)))
  const slotsToMove = moves.reduce((sum, { count }) => sum + count, 0)
  const where = moves.map(({ from, to, count }) => `${count} from ${from} to ${to}`).join(', ')
  const plan = slotsToMove === 0 ? 'nothing is to move' : `${slotsToMove} slots are to move: ${where}`
  return record({ ...operation, state: 'running', wanted, slotsToMove, beganAt: wallNow, because: `${told}: ${plan}` })
}
