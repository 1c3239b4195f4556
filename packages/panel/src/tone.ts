import type { EventKind, NodeState, Status } from '@holdfast/core'

/** How something is, in colour and shape; a word always stands beside it. */
export type Tone = 'ok' | 'warn' | 'bad' | 'off' | 'unknown'

export interface Toned {
  readonly tone: Tone
  readonly word: string
}

export function readiness(status: Status): Toned {
  if (status.wanted === 'down') {
    const stopped = status.nodes.every((node) => node.state === 'stopped' || node.state === 'dead')
    return { tone: 'off', word: stopped ? 'Stopped' : 'Stopping' }
  }
  if (status.ready === 'yes') return { tone: 'ok', word: 'Ready' }
  if (status.ready === 'unknown') return { tone: 'unknown', word: 'Unknown' }
  const down = status.shards.filter((shard) => shard.primary === null).length
  if (down > 0) return { tone: 'bad', word: down === 1 ? 'A shard is down' : `${down} shards are down` }
  return { tone: 'warn', word: 'Not ready' }
}

const nodeTones: Readonly<Record<NodeState, Tone>> = {
  ok: 'ok',
  starting: 'warn',
  syncing: 'warn',
  busy: 'warn',
  frozen: 'bad',
  silent: 'bad',
  dead: 'bad',
  stopped: 'off',
  unknown: 'unknown',
}

/** A server may know states that this page does not. */
export const nodeTone = (state: NodeState): Tone => nodeTones[state] ?? 'unknown'

/** Most of what happens is neither good nor bad; undefined says so. */
const eventTones: Readonly<Partial<Record<EventKind, Tone>>> = { failed: 'bad', loss: 'bad', drift: 'warn' }

export const eventTone = (kind: EventKind): Tone | undefined => eventTones[kind]
