/**
 * Another password for a user, and no moment without one: all engines and Sentinels accept both, then the new one is used
 * and shown, every replica proves that it can sign in with it, and after a time of grace the old one goes, with the
 * sessions that are older than the change.
 *
 * How far it came is read from what is kept (`passwords.ts`) and from the engines: what they accept, and by what they
 * sign in. Each step waits until all are ready again and all files are as the processes are, so that a process that is
 * killed between any two of them comes back right.
 */
import { engineUsers } from '../acl.ts'
import type { Action } from '../action.ts'
import type { Rotation } from '../operation.ts'
import { ended, waitsForMs } from '../operation.ts'
import { dropPrevious, hasNext, hasPrevious, useNext } from '../passwords.ts'
import type { NodePicture, Picture } from '../picture.ts'
import { everyCopy } from '../picture.ts'
import { judgeReadiness } from '../readiness.ts'
import { formatDuration, formatInstant } from '../units.ts'
import { accessPending } from './access.ts'
import type { PlanInput, Step } from './step.ts'
import { act, record, wait } from './step.ts'

/** How long all may take to be as they should while nothing loads or syncs. */
const recoverWithinMs = 120_000
const pollMs = 50
/** Sessions that are closed at once on one engine, and how often: whoever is closed comes back at once. */
const closedAtOnce = 5
const closeEveryMs = 1000

export function planRotate(operation: Rotation, input: PlanInput): Step {
  const { picture, document, wallNow } = input
  const told = describeRotation(operation)
  const { ready, because } = judgeReadiness(picture)
  const [pending] = ready === 'yes' ? accessPending(input) : [because]
  if (operation.state === 'asked') {
    if (pending !== undefined) return wait(`${told} waits: ${pending}`, 100)
    return record({
      ...operation,
      state: 'running',
      beganAt: operation.beganAt ?? wallNow,
      changedAt: operation.changedAt ?? changedBefore(operation, input),
      steppedAt: wallNow,
      because: `${told}: all engines are ready for it`,
    })
  }
  if (pending !== undefined) return waitFor(pending, operation, input)
  if (operation.users.some((user) => hasNext(document.secrets, user))) return change(operation, input)
  if (operation.users.some((user) => hasPrevious(document.secrets, user))) return prove(operation, input)
  return close(operation, input)
}

export const describeRotation = ({ users, subject }: Rotation): string =>
  `rotation of ${users.join(', ')} of ${subject}`

/** One that goes on with what another has left half-way goes on with its time, too. Null: nothing was changed yet. */
function changedBefore({ users }: Rotation, { document, wallNow }: PlanInput): number | null {
  if (users.some((user) => hasNext(document.secrets, user))) return null
  const before = document.operations.filter((one) => one.kind === 'rotate')
  return (
    before.findLast((one) => one.changedAt !== null && one.users.some((user) => users.includes(user)))?.changedAt ??
    wallNow
  )
}

/** Nobody is in danger while it waits: both passwords are valid, or the old one is gone everywhere. */
function waitFor(pending: string, operation: Rotation, { picture, wallNow }: PlanInput): Step {
  const isMoving = everyCopy(picture).some(({ life, facts }) => life === 'loading' || facts?.link?.state === 'syncing')
  const sinceMs = wallNow - operation.steppedAt
  if (isMoving || sinceMs <= recoverWithinMs) return wait(`${describeRotation(operation)}: ${pending}`, pollMs)
  const because = `${describeRotation(operation)} stopped after ${formatDuration(sinceMs)}: ${pending}. What was valid stays valid; ask again to go on`
  return record(ended(operation, 'failed', because, wallNow))
}

/** All accept both. From here on the new one is used, and whoever asks for the URL gets it. */
function change(operation: Rotation, { document, wallNow }: PlanInput): Step {
  const because = `${operation.users.join(', ')}: the new password is used from now on, and the old one is valid too`
  return {
    ...record({ ...operation, changedAt: wallNow, steppedAt: wallNow, because }),
    secrets: useNext(document.secrets, operation.users),
  }
}

function prove(operation: Rotation, input: PlanInput): Step {
  const { picture, document, wallNow } = input
  const unproven = operation.users.includes(engineUsers.replication)
    ? everyCopy(picture).filter(isUnproven(picture))
    : []
  const [first] = unproven
  if (first !== undefined) {
    const because = `${first.id} links to its primary anew, to prove that it can sign in with the new password (${unproven.length} to go)`
    const stepped = { ...operation, steppedAt: wallNow, because }
    return { ...act(because, [{ kind: 'renew-link', node: first.id }]), operations: [stepped] }
  }
  const until = (operation.changedAt ?? wallNow) + operation.graceMs
  if (wallNow < until) {
    const because = `${operation.users.join(', ')} of ${document.name} has a new password; the old one is valid until ${formatInstant(until)}`
    return record({ ...operation, state: 'asked', notBefore: until, expiresAt: until + waitsForMs, because })
  }
  const because = `${operation.users.join(', ')}: the time of grace is over, the old password goes`
  return {
    ...record({ ...operation, steppedAt: wallNow, because }),
    secrets: dropPrevious(document.secrets, operation.users),
  }
}

/** A link that was made before the password changed proves nothing. */
const isUnproven =
  ({ shards }: Picture) =>
  (node: NodePicture): boolean => {
    const { linkRenewedAt = null, signInGivenAt = null } = node.agent?.access ?? {}
    if (shards.some(({ primary }) => primary === node)) return false
    return linkRenewedAt === null || linkRenewedAt < (signInGivenAt ?? Number.NEGATIVE_INFINITY)
  }

/** An authenticated session goes on without a password: those that are older than the change are ended, a few a second. */
function close(operation: Rotation, { picture, wallNow }: PlanInput): Step {
  const doors = [...everyCopy(picture), ...picture.sentinels]
  const closings = doors.map(({ id, agent }) => {
    const last = agent?.access?.closing
    return { id, last: last?.rotation === operation.id ? last : null }
  })
  const open = closings.filter(({ last }) => last === null || last.left > 0)
  if (open.length === 0) {
    const closed = closings.reduce((sum, { last }) => sum + (last?.closed ?? 0), 0)
    const because = `${describeRotation(operation)}: only the new password is valid; ${closed} older ${closed === 1 ? 'session was' : 'sessions were'} closed`
    return record(ended(operation, 'done', because, wallNow))
  }
  const due = open.filter(({ last }) => last === null || picture.at - last.at >= closeEveryMs)
  const left = open.reduce((sum, { last }) => sum + (last?.left ?? 0), 0)
  const told = `closing sessions that are older than the new password${left > 0 ? `: ${left} are left` : ''}`
  if (due.length === 0) return wait(told, closeEveryMs / 4)
  const cutoff = operation.closes === 'older' ? (operation.changedAt ?? operation.steppedAt) : operation.steppedAt
  // An engine counts ages in whole seconds and from whole seconds, so they may be told as one more than they are.
  const olderThanSeconds = Math.floor((wallNow - cutoff) / 1000) + 1
  return act(
    told,
    due.map(
      ({ id }): Action => ({
        kind: 'close-sessions',
        node: id,
        users: operation.users,
        olderThanSeconds,
        countMax: closedAtOnce,
        rotation: operation.id,
      }),
    ),
  )
}
