/**
 * Directives that Holdfast owns are put back when they were changed by hand or in the spec. A directive of
 * the spec's own `config` is set when the node's file does not have it as it is rendered now: the spec was edited. One
 * that somebody changes by hand later is left.
 *
 * An engine may refuse to change a directive while it runs. The file then has the new value and the process the old one,
 * until it is started again: what the process was given is what the agent remembers, and the difference is what waits.
 */
import type { Action, PlanNote } from '../action.ts'
import { directivesOf } from '../config-text.ts'
import { isDurable, isHeldInFile, letGoOf, saysHeld } from '../durability.ts'
import { filesOf, ownedOf } from '../persist-on.ts'
import type { NodePicture } from '../picture.ts'
import { everyCopy } from '../picture.ts'
import { changesPersistence } from './persistence.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, wait } from './step.ts'

export function planConfigure(input: PlanInput): Step {
  const actions: Action[] = []
  const notes: PlanNote[] = []
  const quiet = new Map<string, string[]>()
  for (const node of [...everyCopy(input.picture), ...input.picture.spares]) {
    const rendered = filesOf(node, input)
    if (node.gone || node.agent === null || rendered === undefined) continue
    const { config } = node.agent
    const wanted = watched(node, input)
    const isReady = config !== null && node.facts !== null && !changesPersistence(node, input)
    const drift = isReady ? driftOf(config, wanted) : {}
    const edits = isReady ? editsOf(node, directivesOf(rendered), ownedOf(node, input)) : null
    if (Object.keys(drift).length > 0 || edits !== null) {
      actions.push({ kind: 'configure', node: node.id, set: { ...edits, ...drift }, files: rendered })
      const told = Object.entries(drift).map(([name, value]) => `${name} is "${config?.[name] ?? ''}", not "${value}"`)
      const edited = Object.keys(edits ?? {}).filter((name) => drift[name] === undefined)
      if (told.length === 0 && edited.length > 0 && edited.every((name) => identityDirectives.has(name))) {
        quiet.set(newCertificate, [...(quiet.get(newCertificate) ?? []), node.id])
        continue
      }
      if (edited.length > 0) told.push(`${edited.join(', ')} as the spec has it now`)
      const why = told.length === 0 ? byRole(node, directivesOf(rendered)) : null
      if (why !== null) {
        quiet.set(why, [...(quiet.get(why) ?? []), node.id])
        continue
      }
      if (told.length === 0) told.push('its file is not the one of this spec')
      notes.push({ kind: 'drift', subject: node.id, because: `${node.id}: ${told.join(', ')}` })
    }
  }
  if (actions.length > 0 && notes.length === 0) {
    return act([...quiet].map(([why, ids]) => `${ids.join(', ')}: ${why}`).join('; '), actions)
  }
  if (actions.length > 0) {
    return act(`not as specified: ${notes.map(({ because }) => because).join('; ')}`, actions, notes)
  }
  const waiting = everyCopy(input.picture).flatMap((node) => {
    const names = pendingRestart(node, input)
    return names.length === 0 ? [] : [`${node.id} (${names.join(', ')})`]
  })
  return waiting.length === 0 ? idle : wait(`restart pending: ${waiting.join(', ')}`)
}

const newCertificate = 'a new certificate, for connections from now on'
const identityDirectives: ReadonlySet<string> = new Set(['tls-cert-file', 'tls-key-file'])

/**
 * Why only the file is to change where that is in the order of things; null where it is not. Holdfast has started it as
 * the primary, or the engine has written its file anew, as Sentinels tell it to; or it writes another thing to its disk
 * since it changed its role.
 */
function byRole({ agent }: NodePicture, rendered: Readonly<Record<string, string>>): string | null {
  const written = agent?.written ?? {}
  if (written['replicaof'] !== rendered['replicaof']) return 'the file shall make no primary of whoever else starts it'
  const names = Object.keys({ ...written, ...rendered }).filter((name) => written[name] !== rendered[name])
  const isPersistence = names.every((name) => name === 'appendonly' || name === 'save')
  return isPersistence ? 'the file shall say what it writes to its disk by now' : null
}

/** An agent slows the timer of an engine that shall be elected, for a second, and reads back every two. */
const hurriedForMs = 5000

/** Those that are put back here. Others decide how a durable shard guards its writes, and when an engine is let go. */
function watched(node: NodePicture, input: PlanInput): Readonly<Record<string, string>> {
  const { spec, picture } = input
  const wanted = ownedOf(node, input)
  const names = isHeldInFile(spec) && saysHeld(node.agent?.config) ? Object.keys(letGoOf(spec)) : []
  if (isDurable(spec)) names.push('min-replicas-to-write')
  // What slowed it may have ended before it put that back: a controller that was killed, or is one no more.
  if (picture.at - (node.agent?.failoverAsked?.at ?? Number.NEGATIVE_INFINITY) < hurriedForMs) names.push('hz')
  return Object.fromEntries(Object.entries(wanted).filter(([name]) => !names.includes(name)))
}

/** Directives that a node runs with another value than its file has for its next start. */
export function pendingRestart(node: NodePicture, input: Pick<PlanInput, 'picture' | 'files' | 'owned'>): string[] {
  const rendered = filesOf(node, input)
  const { given, written } = node.agent ?? {}
  if (rendered === undefined || node.gone || given == null || written == null) return []
  const wanted = directivesOf(rendered)
  return namesThatDiffer(given, wanted, ownedOf(node, input)).filter((name) => written[name] === wanted[name])
}

/** Whether every node runs with what is rendered for it: nothing waits for a restart, and no persistence is changed. */
export const runsAsRendered = (input: Pick<PlanInput, 'picture' | 'files' | 'owned'>): boolean =>
  everyCopy(input.picture).every((node) => {
    const { written } = node.agent ?? {}
    const rendered = filesOf(node, input)
    const isWritten = written == null || rendered === undefined || isSame(written, directivesOf(rendered))
    return isWritten && !changesPersistence(node, input) && pendingRestart(node, input).length === 0
  })

/**
 * What to set because the file on disk is not the rendered one; null where it is. What is gone from the file cannot be
 * set: its default is the engine's, and comes with a restart.
 */
function editsOf(
  node: NodePicture,
  rendered: Readonly<Record<string, string>>,
  owned: Readonly<Record<string, string>>,
): Record<string, string> | null {
  const { written, given } = node.agent ?? {}
  if (written == null || given == null) return null
  if (isSame(written, rendered)) return null
  const names = namesThatDiffer(given, rendered, owned).filter((name) => rendered[name] !== undefined)
  return Object.fromEntries(names.map((name) => [name, rendered[name] ?? '']))
}

/** Those we own are compared by the engine's own word, and where a node is never changes while it runs. */
function namesThatDiffer(
  given: Readonly<Record<string, string>>,
  rendered: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
): string[] {
  const names = [...new Set([...Object.keys(rendered), ...Object.keys(given)])]
  return names.filter(
    (name) => given[name] !== rendered[name] && wanted[name] === undefined && !placeDirectives.has(name),
  )
}

const placeDirectives = new Set([
  'port',
  'tls-port',
  'tls-replication',
  'tls-cluster',
  'tls-auth-clients',
  'tls-ca-cert-file',
  'bind',
  'dir',
  'daemonize',
  'logfile',
  'replicaof',
  'cluster-enabled',
  'cluster-config-file',
  'dbfilename',
  'appendfilename',
  'appenddirname',
  'protected-mode',
  'aclfile',
])

const isSame = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([name, value]) => b[name] === value)

/** Directives whose value is not the wanted one. What the engine does not have is not drift. */
function driftOf(
  config: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(wanted).filter(([name, value]) => config[name] !== undefined && config[name] !== value),
  )
}
