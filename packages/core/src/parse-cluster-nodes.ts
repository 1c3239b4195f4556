import type { ClusterView, OpenSlot, ViewEntry } from './observed.ts'
import type { SlotRange } from './slots.ts'

/**
 * `CLUSTER NODES`, one line a node:
 * `<id> <ip:port@bus[,hostname]> <flags> <primary or -> <ping> <pong> <epoch> <link> <slot> … [<slot>->-<id>]`
 */
export function parseClusterNodes(text: string): ClusterView {
  const entries: ViewEntry[] = []
  let me = ''
  let open: OpenSlot[] = []
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [engineId = '', where = '', flagText = '', follows, , , epoch = '', link = '', ...slots] = line.split(' ')
    const [, address, port] = /^(.*):(\d+)@\d+/.exec(where) ?? []
    if (address === undefined || !/^\d+$/.test(epoch) || !/^(dis)?connected$/.test(link)) {
      throw new Error(`CLUSTER NODES has an odd line: ${line}`)
    }
    const flags = flagText.split(',')
    if (flags.includes('myself')) {
      me = engineId
      // From Valkey 8 on a replica repeats what its primary has open, and can close none of it by itself.
      const isPrimary = flags.includes('master')
      open = isPrimary ? slots.filter((slot) => slot.startsWith('[')).map(parseOpenSlot) : []
    }
    entries.push({
      engineId,
      address,
      port: Number(port),
      role: flags.includes('master') ? 'primary' : flags.includes('slave') ? 'replica' : 'unknown',
      follows: follows === undefined || follows === '-' ? null : follows,
      health: flags.includes('fail') ? 'fail' : flags.includes('fail?') ? 'fail?' : 'ok',
      handshake: flags.includes('handshake'),
      linked: link === 'connected',
      configEpoch: Number(epoch),
      slots: slots.filter((slot) => !slot.startsWith('[')).map(parseRange),
    })
  }
  if (me === '') throw new Error('CLUSTER NODES names nobody as myself')
  return { me, entries, open }
}

function parseRange(text: string): SlotRange {
  const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? []
  if (from === undefined) throw new Error(`CLUSTER NODES has an odd slot: ${text}`)
  return [Number(from), Number(to)]
}

/** `[93->-id]` is on its way out, `[93-<-id]` on its way in. */
function parseOpenSlot(text: string): OpenSlot {
  const [, slot, arrow, peer] = /^\[(\d+)-([<>])-([0-9a-f]+)\]$/.exec(text) ?? []
  if (slot === undefined || peer === undefined) throw new Error(`CLUSTER NODES has an odd open slot: ${text}`)
  return { slot: Number(slot), direction: arrow === '>' ? 'migrating' : 'importing', peer, keys: null }
}
