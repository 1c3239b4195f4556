/**
 * What people asked for once, one thing at a time and in the order in which it was asked. It comes after every rule that
 * heals: an operation is a risk that somebody chose, and while something is wrong by itself there is none to spare.
 */
import type { Document } from '../document.ts'
import type { Operation } from '../operation.ts'
import { ended, isUnfinished } from '../operation.ts'
import { dropNextExcept } from '../passwords.ts'
import { planBackup } from './backup.ts'
import { emptyShards } from './empty-shards.ts'
import { planRebalance } from './rebalance.ts'
import { planReplacement } from './replacement.ts'
import { planRestart } from './restart.ts'
import { planRestore } from './restore.ts'
import { describeRotation, planRotate } from './rotate.ts'
import { planScale } from './scale.ts'
import type { PlanInput, Step } from './step.ts'
import { idle, record, wait } from './step.ts'
import { planSwitchover } from './switchover.ts'

export function planOperations(input: PlanInput): Step {
  const open = input.document.operations.filter(isUnfinished)
  const tidied = forgetPasswords(open, input.document)
  if (tidied !== null) return tidied
  const running = open.find(({ state }) => state === 'running')
  const due = open.filter(({ notBefore }) => (notBefore ?? 0) <= input.wallNow)
  const next = running ?? due[0]
  if (next === undefined) return waitForTheNext(open, input.wallNow)
  if (next.state === 'asked' && input.wallNow > next.expiresAt) {
    const because = `${describeOperation(next)} could not begin in time: ${next.because}`
    return record(ended(next, 'failed', because, input.wallNow))
  }
  const [leaving] = next.state === 'asked' ? emptyShards(input) : []
  if (leaving !== undefined) return wait(`${describeOperation(next)} waits until ${leaving.id} has left`, 100)
  return planOne(next, input)
}

export function describeOperation(operation: Operation): string {
  switch (operation.kind) {
    case 'switchover':
      return `switchover of ${operation.subject}${operation.to === null ? '' : ` to ${operation.to}`}`
    case 'restart':
    case 'upgrade':
      return `${operation.kind} of ${operation.subject}`
    case 'replace':
      return `replacement of ${operation.subject} by ${operation.places[0]?.id ?? 'nobody'}`
    case 'backup':
      return `backup of ${operation.subject}`
    case 'restore':
      return `restore of ${operation.subject} from ${operation.from}`
    case 'rotate':
      return describeRotation(operation)
    case 'rebalance':
      return `rebalance of ${operation.subject}`
    case 'scale':
      return `scaling ${operation.subject} to ${operation.shards} shards`
    default:
      return operation satisfies never
  }
}

function planOne(operation: Operation, input: PlanInput): Step {
  switch (operation.kind) {
    case 'switchover':
      return planSwitchover(operation, input)
    case 'restart':
    case 'upgrade':
      return planRestart(operation, input)
    case 'replace':
      return planReplacement(operation, input)
    case 'backup':
      return planBackup(operation, input)
    case 'restore':
      return planRestore(operation, input)
    case 'rotate':
      return planRotate(operation, input)
    case 'rebalance':
      return planRebalance(operation, input)
    case 'scale':
      return planScale(operation, input)
    default:
      return operation satisfies never
  }
}

/** A rotation that ended before its new passwords were used leaves them behind: valid, and known to nobody. */
function forgetPasswords(open: readonly Operation[], { secrets }: Document): Step | null {
  const wanted = open.flatMap((one) => (one.kind === 'rotate' ? one.users : []))
  const kept = dropNextExcept(secrets, wanted)
  if (Object.keys(kept).length === Object.keys(secrets).length) return null
  return { ...idle, because: 'a rotation is over: its new passwords go again', lookAgainMs: 0, secrets: kept }
}

function waitForTheNext(open: readonly Operation[], now: number): Step {
  const times = open.map(({ notBefore }) => (notBefore ?? 0) - now)
  return times.length === 0 ? idle : { ...idle, lookAgainMs: Math.max(0, Math.min(...times)) }
}
