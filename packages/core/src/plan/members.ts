/** Who knows whom, and who follows whom. */
import type { Action } from '../action.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { addressOf, isIdentified, primaryIdOf } from '../picture.ts'
import { hasHistoryOf } from './candidate.ts'
import { hasStopped } from './retire.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'

/** Every living node is introduced to every living node that it does not know. Gossip would get there, but slowly. */
export function planMeet({ picture }: PlanInput): Step {
  const living = picture.nodes.filter((node) => node.facts !== null)
  const actions = living.flatMap((node): Action[] => {
    const strangers = living.filter((peer) => peer !== node && !knows(node, peer))
    if (strangers.length === 0) return []
    const peers = strangers.map(({ place }) => ({ address: place.address, port: place.port }))
    return [{ kind: 'meet', node: node.id, peers }]
  })
  if (actions.length === 0) return idle
  const who = actions.map((action) => ('node' in action ? action.node : ''))
  return act(`${who.join(', ')} ${who.length === 1 ? 'does' : 'do'} not know all others: introducing them`, actions)
}

/** By engine id, or in the middle of being introduced. */
const knows = (node: NodePicture, peer: NodePicture): boolean =>
  isMeeting(node, peer) || node.facts?.view.entries.some((entry) => entry.engineId === peer.engineId) === true

/** Every node of a shard that is not its primary follows it. */
export function planFollow({ picture }: PlanInput): Step {
  return join(picture.shards.flatMap((shard) => shard.nodes.map((node) => followPrimary(node, shard))))
}

function followPrimary(node: NodePicture, shard: ShardPicture): Step {
  const { primary } = shard
  if (primary === null || primary === node || node.facts === null) return idle
  // Who was led astray still has the history of its dead primary until a sync with the other is done: back with it, it
  // may take over. Nobody else is sent to a primary that does not live.
  const mayReturn = primary.gone && node.facts.role === 'replica' && hasHistoryOf(node, primary)
  if (!mayReturn && primary.facts?.role !== 'primary') return idle
  const me = node.facts.view.entries.find((entry) => entry.engineId === node.engineId)
  if (node.facts.role === 'replica' && me?.follows === primary.engineId) return idle
  const known = node.facts.view.entries.some((entry) => entry.engineId === primary.engineId && !entry.handshake)
  if (!known) return wait(`${node.id} does not know ${primary.id} yet`, 50)
  if (me !== undefined && me.slots.length > 0) {
    return wait(
      `${node.id} still claims slots of ${shard.id}: waiting until it hears that ${primary.id} owns them`,
      100,
    )
  }
  if (node.facts.role === 'primary' && node.facts.keys > 0) {
    return wait(`${node.id} holds keys but no slots: waiting until it hears that ${primary.id} owns ${shard.id}`, 250)
  }
  const before = node.facts.role === 'replica' ? 'follows the wrong primary' : 'follows nobody'
  return act(`${node.id} ${before}: it shall follow ${primary.id}`, [
    { kind: 'follow', node: node.id, primary: primary.engineId as string },
  ])
}

/**
 * A node that others see in an old role introduces itself to them again. Gossip tells everybody in the end, but it asks
 * one node in a second, and until all have heard, a vote may be refused.
 */
export function planRemind({ picture }: PlanInput): Step {
  const living = picture.nodes.filter((node) => node.facts !== null)
  const actions = living.flatMap((node): Action[] => {
    const own = primaryIdOf(node)
    const behind = living.filter((peer) => {
      const entry = peer.facts?.view.entries.find(({ engineId }) => engineId === node.engineId)
      return entry !== undefined && entry.follows !== own && !isMeeting(node, peer)
    })
    const peers = behind.map(({ place }) => ({ address: place.address, port: place.port }))
    return peers.length === 0 ? [] : [{ kind: 'meet', node: node.id, peers }]
  })
  if (actions.length === 0) return idle
  return act(
    `${actions.map(({ node }) => node).join(', ')} changed roles and not all have heard: telling them`,
    actions,
  )
}

const isMeeting = (node: NodePicture, peer: NodePicture): boolean =>
  node.facts?.view.entries.some((entry) => entry.handshake && entry.port === peer.place.port) === true

/**
 * Engine ids that a node of ours had before its directory was wiped are forgotten, by all nodes in one turn: one that
 * still knew it would tell the others again. Living strangers are reported and never touched.
 */
export function planForget({ picture }: PlanInput): Step {
  // Whom the others know at the address of one that is away is that one, and no ghost.
  if (!picture.nodes.every((node) => isIdentified(node) || node.engineId !== null)) return idle
  const ours = new Set(picture.nodes.flatMap((node) => node.engineId ?? []))
  const ghosts = ghostIds(picture, ours).filter((id) => !isNeeded(id, picture))
  const actions = picture.nodes.flatMap((node): Action[] => {
    const engineIds = ghosts.filter((id) => node.facts?.view.entries.some((entry) => entry.engineId === id))
    return engineIds.length === 0 ? [] : [{ kind: 'forget', node: node.id, engineIds }]
  })
  if (actions.length > 0) {
    return act(
      `${ghosts.map((id) => id.slice(0, 8)).join(', ')} was replaced and is not coming back: forgetting it`,
      actions,
    )
  }
  const strangers = strangerPorts(picture, ours)
  if (strangers.length === 0) return idle
  const because = `a node that is not ours is in the cluster (port ${strangers.join(', ')}): left alone`
  return wait(because, null, [{ kind: 'node', subject: 'cluster', because }])
}

/**
 * A ghost that still owns slots, by the others' word, is kept as long as anybody could take them over: a replica that
 * follows it, or a node that was not heard. Its shard is then empty for good, and its slots can be given out anew.
 */
function isNeeded(ghost: string, picture: Picture): boolean {
  if (!picture.owners.some((claim) => claim.engineId === ghost)) return false
  const followed = picture.views.some(({ entries }) => entries.some((entry) => entry.follows === ghost))
  return followed || picture.nodes.some((node) => node.facts === null)
}

/** Unknown ids without an address, or at one where a node of ours answers with another id, or where one has left. */
function ghostIds(picture: Picture, ours: ReadonlySet<string>): string[] {
  const answering = new Set(
    [...picture.nodes.filter((node) => node.facts !== null), ...picture.leaving.filter(hasStopped)].flatMap(
      ({ calledAt }) => [...calledAt],
    ),
  )
  const ghosts = picture.views
    .flatMap((view) => view.entries)
    .filter(
      (entry) => !entry.handshake && !ours.has(entry.engineId) && (entry.port === 0 || answering.has(addressOf(entry))),
    )
  return [...new Set(ghosts.map((entry) => entry.engineId))].sort()
}

function strangerPorts(picture: Picture, ours: ReadonlySet<string>): number[] {
  const places = new Set([...picture.nodes, ...picture.leaving].flatMap(({ calledAt }) => [...calledAt]))
  const strangers = picture.views
    .flatMap((view) => view.entries)
    .filter(
      (entry) => !entry.handshake && !ours.has(entry.engineId) && entry.port !== 0 && !places.has(addressOf(entry)),
    )
  return [...new Set(strangers.map((entry) => entry.port))].sort((a, b) => a - b)
}
