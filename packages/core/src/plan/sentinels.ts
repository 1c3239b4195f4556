/**
 * The Sentinels themselves: that they run, watch the right primary in the right way, agree, and know nobody who is gone.
 *
 * Their files are their own, so all is told to the running ones. Of two that name different primaries the one with the
 * higher epoch persuades the others, a wrong one too; so all that are wrong stop watching first, and then begin anew.
 */

import { engineUsers } from '../acl.ts'
import type { Action } from '../action.ts'
import type { NodePicture, Picture } from '../picture.ts'
import { addressOf } from '../picture.ts'
import { sentinelSettings } from '../render-sentinel.ts'
import type { SentinelPicture } from '../sentinel-picture.ts'
import { names } from '../sentinel-picture.ts'
import { formatDuration } from '../units.ts'
import { tellUsers } from './access.ts'
import { fenceEveryMs } from './fence.ts'
import { isUnderWay } from './promotion.ts'
import { isFailingOver } from './selection.ts'
import { restOf } from './start.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'

/** How long Sentinels may take to tell each other: they greet every two seconds. */
const gossipMs = 10_000
/** From one Sentinel that forgets whom it knows to the next: until then it has met everybody again. */
const resetEveryMs = 30_000

export function planSentinels(input: PlanInput): Step {
  return join(input.picture.sentinels.map((sentinel) => keepUp(sentinel, input)))
}

function keepUp(sentinel: SentinelPicture, { picture, files }: PlanInput): Step {
  const { id, life, agent, gone, seen } = sentinel
  if (life === 'frozen' && agent?.process.state === 'running' && seen.engine.kind === 'silent') {
    const frozen = `${id} has not answered for ${formatDuration(picture.at - seen.engine.since)}: frozen`
    const sinceMs = picture.at - (agent.fencedAt ?? Number.NEGATIVE_INFINITY)
    if (sinceMs < fenceEveryMs)
      return wait(`${frozen}, but it was killed ${formatDuration(sinceMs)} ago: not again yet`)
    const { pid, startTime } = agent.process
    return act(`${frozen}, killing it to start it again`, [{ kind: 'fence', node: id, pid, startTime }])
  }
  const rendered = files.get(id)
  if (!gone || rendered === undefined) return idle
  const rest = restOf(id, agent, picture.at)
  return (
    rest ?? act(`starting ${id}: it is not running`, [{ kind: 'start', node: id, files: rendered, unclustered: true }])
  )
}

/** Everybody watches the primary under the deployment's name, as the spec says. */
export function planWatch(input: PlanInput): Step {
  const { picture, spec, document } = input
  const primary = picture.shards[0]?.primary
  if (primary?.facts?.role !== 'primary' || isUnderWay(picture)) return idle
  const { name } = document
  const { address, port } = primary.place
  const awake = picture.sentinels.filter(({ facts }) => facts?.tilt === false)
  const wrong = awake.filter((sentinel) => isWrongForGood(sentinel, primary, picture))
  const blind = awake.filter(({ watch }) => watch === null)
  // One that cannot sign in when it first comes does not try again by itself.
  const users = wrong.length + blind.length > 0 ? tellUsers([primary], input) : idle
  if (users.actions.length > 0) return users
  if (wrong.length > 0) {
    const told = wrong.map(({ id, watch }) => `${id} names ${watch === null ? '' : addressOf(watch.primary)}`)
    return act(
      `${told.join(', ')} and ${primary.id} is the primary: letting ${wrong.length === 1 ? 'it' : 'them'} begin anew`,
      wrong.map(({ id }): Action => ({ kind: 'unwatch', node: id, name })),
    )
  }
  const auth = { 'auth-user': engineUsers.sentinel, 'auth-pass': document.secrets[engineUsers.sentinel] ?? '' }
  const settings = sentinelSettings(spec)
  if (blind.length > 0) {
    const watched = { address, port }
    return act(
      `${idsOf(blind)} ${blind.length === 1 ? 'watches' : 'watch'} nobody yet: ${primary.id} is the primary`,
      blind.map(
        ({ id }): Action => ({ kind: 'watch', node: id, name, primary: watched, settings: { ...settings, ...auth } }),
      ),
    )
  }
  return join(awake.map((sentinel) => correct(sentinel, name, settings, auth)))
}

function correct(
  { id, watch }: SentinelPicture,
  name: string,
  settings: Readonly<Record<string, string>>,
  auth: Readonly<Record<string, string>>,
): Step {
  if (watch === null) return idle
  const set = Object.fromEntries(Object.entries(settings).filter(([key, value]) => watch.settings[key] !== value))
  if (Object.keys(set).length > 0) {
    const told = Object.keys(set).map((key) => `${key} is "${watch.settings[key] ?? ''}", not "${set[key] ?? ''}"`)
    const because = `${id}: ${told.join(', ')}`
    return act(
      `not as specified: ${because}`,
      [{ kind: 'set-sentinel', node: id, name, settings: set }],
      [{ kind: 'drift', subject: id, because }],
    )
  }
  // It watches one that answers us, and gets no answer: the first that it lacks is the password, which it never shows.
  if (watch.flags.includes('s_down') && watch.lastOkPingMs > gossipMs) {
    return act(`${id} does not reach the primary, which answers: telling it the password again`, [
      { kind: 'set-sentinel', node: id, name, settings: auth },
    ])
  }
  return idle
}

/** It had the time to hear better from the others. */
function isWrongForGood({ watch }: SentinelPicture, primary: NodePicture, picture: Picture): boolean {
  if (watch === null || names(watch, primary)) return false
  const named = picture.nodes.find((node) => names(watch, node))
  if (named === undefined) return true
  if (named.facts?.role === 'replica') return watch.roleReported === 'replica' && watch.roleReportedMs > gossipMs
  return named.gone && watch.lastOkPingMs > gossipMs
}

/** Sentinels and replicas that were ours once, or never, are forgotten: one Sentinel at a time, while all is well. */
export function planTidy({ picture, document }: PlanInput): Step {
  const { sentinels, shards, at } = picture
  const primary = shards[0]?.primary
  if (primary?.facts?.role !== 'primary' || isFailingOver(sentinels)) return idle
  const burdened = sentinels.find(({ watch }) => watch !== null && strangersOf(watch, picture).length > 0)
  if (burdened?.watch == null) return idle
  const strangers = strangersOf(burdened.watch, picture)
  const isChained = strangers.some((one) => one.startsWith(chainedReplica))
  const why = isChained ? 'no Sentinel shall know' : `${strangers.length === 1 ? 'is' : 'are'} not of ${document.name}`
  const because = `${burdened.id} knows ${strangers.join(', ')}, which ${why}`
  const isCalm = sentinels.every(
    ({ watch }) => names(watch, primary) && !watch?.flags.some((flag) => flag.endsWith('_down')),
  )
  if (!isCalm) return wait(`${because}: left alone until all Sentinels agree on ${primary.id}`)
  const lastReset = Math.max(...sentinels.map(({ agent }) => agent?.resetAt ?? Number.NEGATIVE_INFINITY))
  const restMs = lastReset + resetEveryMs - at
  if (restMs > 0) return wait(`${because}: forgotten in ${formatDuration(restMs)}, one Sentinel at a time`, restMs)
  return act(`${because}: letting it forget`, [{ kind: 'reset-sentinel', node: burdened.id, name: document.name }])
}

const chainedReplica = 'chained replica'

/** By address; a Sentinel that was made anew leaves its former id behind. */
function strangersOf(watch: NonNullable<SentinelPicture['watch']>, picture: Picture): string[] {
  const { nodes, chained, sentinels } = picture
  // One that is chained behind the primary itself, for want of a replica, would be met again at once.
  const direct = chained.filter(({ follows }) => follows === addressOf(watch.primary))
  const ours = new Set([...nodes, ...direct].map(({ place }) => addressOf(place)))
  const ids = new Map(sentinels.map(({ place, facts }) => [addressOf(place), facts?.sentinelId ?? null]))
  const hidden = new Set(chained.map(({ place }) => addressOf(place)))
  const replicas = watch.replicas.map(addressOf).filter((replica) => !ours.has(replica))
  const peers = watch.peers.filter((peer) => {
    const id = ids.get(addressOf(peer))
    return id === undefined || (id !== null && id !== peer.sentinelId)
  })
  return [
    ...replicas.map((one) => `${hidden.has(one) ? chainedReplica : 'replica'} ${one}`),
    ...peers.map((one) => `Sentinel ${addressOf(one)}`),
  ]
}

const idsOf = (sentinels: readonly SentinelPicture[]): string => sentinels.map(({ id }) => id).join(', ')
