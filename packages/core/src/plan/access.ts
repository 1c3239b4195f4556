/**
 * Who may sign in where, and with what: every engine and Sentinel has the users of the deployment, and signs in to others
 * with the password that is used now. The running one is told first and its file is written last, so where a file is as
 * rendered, its process was told; and where the engine calls a word wrong, its file stays good.
 */
import { engineUsers, hashesAmong, readUsers } from '../acl.ts'
import type { Action, NodeFiles, PlanNote } from '../action.ts'
import type { AccessSeen } from '../observed.ts'
import type { NodePicture } from '../picture.ts'
import { everyCopy } from '../picture.ts'
import type { SentinelPicture } from '../sentinel-picture.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle } from './step.ts'

const howTo = 'to sign in to others with the password as it is now'

type Door = NodePicture | SentinelPicture

export function planAccess(input: PlanInput): Step {
  const users = tellUsers([...everyCopy(input.picture), ...input.picture.sentinels], input)
  if (users.actions.length > 0) return users
  // Whoever signs in with a new password needs the others to know it: so all users come first.
  const nodes = everyCopy(input.picture).flatMap((node) => signIn(node, input, engineUsers.replication))
  if (nodes.length > 0) return tell(nodes, howTo)
  return tell(nextSentinel(input), howTo)
}

export const tellUsers = (doors: readonly Door[], input: PlanInput): Step =>
  tell(
    doors.flatMap((door) => loadUsers(door, input)),
    'who may sign in now',
  )

interface Correction {
  readonly action: Action
  /** What somebody has changed by hand; null where only the deployment has changed. */
  readonly drift: string | null
}

function tell(corrections: readonly Correction[], lacks: string): Step {
  if (corrections.length === 0) return idle
  const drifted = corrections.flatMap(({ action, drift }): PlanNote[] =>
    drift === null ? [] : [{ kind: 'drift', subject: action.node, because: drift }],
  )
  const behind = corrections.filter(({ drift }) => drift === null).map(({ action }) => action.node)
  const sentences = [
    ...(drifted.length === 0 ? [] : [`not as specified: ${drifted.map(({ because }) => because).join('; ')}`]),
    ...(behind.length === 0 ? [] : [`telling ${behind.join(', ')} ${lacks}`]),
  ]
  return act(
    sentences.join('; '),
    corrections.map(({ action }) => action),
    drifted,
  )
}

function loadUsers({ id, gone, life, agent }: Door, { files }: PlanInput): Correction[] {
  const rendered = files.get(id)
  // Also where our own reading user was taken away, and the engine turns us away.
  if (rendered === undefined || gone || agent === null || life === 'silent') return []
  if (isOfAnotherEngine(agent.access, rendered)) return []
  const wasTouched = 'usersMatch' in agent && agent.usersMatch === false
  if (!wasTouched && !lacksUsers(agent.access, rendered)) return []
  const drift = wasTouched ? `${id}: its users are not those of the deployment` : null
  return [{ action: { kind: 'load-users', node: id, files: rendered }, drift }]
}

/**
 * The files are those of the engine that it shall become, whose words it may not know: it gets them with the start of that
 * one. What it runs has to be known first.
 */
const isOfAnotherEngine = (access: AccessSeen | undefined, { engineVersion }: NodeFiles): boolean =>
  engineVersion !== undefined && access?.version !== engineVersion

function lacksUsers(access: AccessSeen | undefined, { users }: NodeFiles): boolean {
  if (access?.usersFile == null) return false
  return access.usersFile !== users || (access.passwords !== null && !acceptsExactly(access.passwords, users))
}

function acceptsExactly(passwords: NonNullable<AccessSeen['passwords']>, users: string): boolean {
  const wanted = readUsers(users)
  const names = new Set([...wanted.keys(), ...Object.keys(passwords)])
  return [...names].every((name) => hashesAmong(wanted.get(name) ?? []).join() === [...(passwords[name] ?? [])].join())
}

function signIn(door: Door, { files, document }: PlanInput, user: string): Correction[] {
  const { id, gone, life, agent } = door
  const rendered = files.get(id)
  const { access } = agent ?? {}
  if (rendered?.signsInWith === undefined || gone || life !== 'alive' || access?.signsInWith == null) return []
  if (access.signsInWith === rendered.signsInWith && access.signInFile === rendered.signsInWith) return []
  const password = document.secrets[user] ?? ''
  return [{ action: { kind: 'sign-in', node: id, name: document.name, password }, drift: null }]
}

/** It drops all its links and builds them anew: one at a time, while the others see well enough to fail over. */
function nextSentinel(input: PlanInput): Correction[] {
  const { sentinels } = input.picture
  if (!sentinels.every(({ watch }) => watch?.quorumOk === true)) return []
  return sentinels.flatMap((sentinel) => signIn(sentinel, input, engineUsers.sentinel)).slice(0, 1)
}

/**
 * Whose users or sign-in are not known to be as rendered, with the reason; none where all engines and Sentinels have
 * them, in the process and in the file.
 */
export function accessPending({ picture, files }: PlanInput): string[] {
  const { proxy } = picture
  const isBehind = proxy?.place != null && proxy.agent?.loaded !== files.get(proxy.place.id)?.config
  const ofProxy = isBehind ? ['the proxy still signs in as its former file says'] : []
  const ofDoors = [...everyCopy(picture), ...picture.sentinels].flatMap(({ id, agent, life }) => {
    const rendered = files.get(id)
    const { access } = agent ?? {}
    if (rendered === undefined || access === undefined) return [`nobody can say what users ${id} has`]
    if (life !== 'alive') return [`${id} is ${life}`]
    if (access.passwords === null) return [`${id} has not said yet what users it has`]
    if (isOfAnotherEngine(access, rendered))
      return [`${id} runs ${access.version}, and not ${rendered.engineVersion} yet`]
    if (lacksUsers(access, rendered)) return [`${id} does not have the users yet`]
    if (rendered.signsInWith === undefined) return []
    const isSigned = [access.signsInWith, access.signInFile].every((hash) => hash === rendered.signsInWith)
    return isSigned ? [] : [`${id} still signs in with another password`]
  })
  return [...ofProxy, ...ofDoors]
}
