import { setTimeout as delay } from 'node:timers/promises'
import type { AdoptedStatus, NodeStatus, Status, TlsStatus } from '@holdfast/core'
import { formatBytes, formatInstant, formatSlots, HoldfastError } from '@holdfast/core'
import { chooseAmong, statusOnceSeen, withApi } from './connect.ts'
import type { Context } from './context.ts'
import { table } from './table.ts'

export interface StatusOptions {
  readonly json?: boolean
  readonly watch?: boolean
}

/** `holdfast status`: how it is, why, and every node. Without a name all deployments, one below the other. */
export async function status(
  context: Context,
  name: string | undefined,
  { json, watch }: StatusOptions,
): Promise<void> {
  await withApi(context, { acts: false }, async (api, isBorrowed) => {
    const known = await api.names()
    const chosen = name === undefined && known.length > 1 && json !== true ? known : [chooseAmong(known, name)]
    if (watch === true && isBorrowed) {
      throw new HoldfastError(
        'UNREACHABLE_CONTROLLER',
        'no controller runs, so nothing would change: leave out --watch',
      )
    }
    while (context.isRead()) {
      const seen = await Promise.all(chosen.map((one) => statusOnceSeen(api, one)))
      const text = seen.map((now) => (json === true ? JSON.stringify(now, null, 2) : renderStatus(now))).join('\n\n')
      context.out(watch === true && json !== true ? `\u001B[2J\u001B[H${text}` : text)
      if (watch !== true) return
      await delay(1000)
    }
  })
}

function renderStatus(now: Status): string {
  const head = [
    `${now.name}   ready: ${now.ready}   ${now.because}`,
    ...(now.adopted === undefined ? keptLines(now) : adoptedLines(now, now.adopted)),
    ...(now.tls === undefined ? [] : [`TLS: ${certificatesIn(now.tls)}`]),
    `a fault may cost: ${now.lossWindow}`,
  ]
  for (const { id, guard } of now.shards) {
    const degraded = guard?.degraded ?? null
    if (degraded !== null)
      head.push(`${id} takes writes that no copy has: ${degraded.by} accepts it (${degraded.because})`)
  }
  for (const { id, because, troubles } of now.hosts ?? []) {
    if (because !== undefined) head.push(because)
    head.push(...troubles.map((trouble) => `${id}: ${trouble.because}`))
  }
  const waiting = now.nodes.filter(({ pendingRestart }) => pendingRestart.length > 0)
  if (waiting.length > 0) {
    const named = waiting.map(({ id, pendingRestart }) => `${id} (${pendingRestart.join(', ')})`)
    head.push(`restart pending: ${named.join(', ')}`)
  }
  const slotsOf = new Map(now.shards.map((shard) => [shard.primary, formatSlots(shard.slots)]))
  const rows = now.nodes.map((node) => [
    node.shard,
    node.id,
    node.upstream === undefined ? node.role : `behind ${node.upstream ?? '?'}`,
    node.state,
    `${node.host}:${node.port}`,
    node.pid === null ? '-' : String(node.pid),
    slotsOf.get(node.id) ?? '-',
    memoryOf(node),
    orUnknown(node.opsPerSecond),
    orUnknown(node.keys),
    linkOf(node),
  ])
  const titles = ['SHARD', 'NODE', 'ROLE', 'STATE', 'ADDRESS', 'PID', 'SLOTS', 'MEMORY', 'OPS/S', 'KEYS', 'LINK']
  return [...head, '', table([titles, ...rows]), ...asideLines(now), ...sentinelLines(now), ...proxyLines(now)].join(
    '\n',
  )
}

function certificatesIn({ firstToEnd, endsAt, renewAt, supplied }: TlsStatus): string {
  if (endsAt === null || renewAt === null) return 'no certificate yet'
  const next = supplied
    ? `put another one there from ${formatInstant(renewAt)} on`
    : `made anew from ${formatInstant(renewAt)} on`
  return `the first certificate to end is that of ${firstToEnd}, ${formatInstant(endsAt)}; ${next}`
}

const keptLines = ({ engine, controller, settledRevision, specRevision, copiesInSync }: Status): string[] => [
  `${engine === null ? 'engine unknown' : `${engine.flavor} ${engine.version}`}, revision ${settledRevision} of ${specRevision} settled, ${copiesInSync} copies in sync`,
  controller.lease === 'none'
    ? 'no controller acts'
    : `controller ${controller.id}, epoch ${controller.epoch}, lease ${controller.lease}`,
]

const adoptedLines = (
  { topology, copiesInSync, ready }: Status,
  { by, at, from, versions }: AdoptedStatus,
): string[] => [
  `${topology}, engine ${versions.join(' and ') || 'unknown'}, ${ready === 'unknown' ? 'at least ' : ''}${copiesInSync} copies in sync`,
  `adopted from ${from.join(', ')} at ${formatInstant(at)} by ${by}: somebody else runs it, it is only watched`,
]

function asideLines({ aside = [] }: Status): string[] {
  if (aside.length === 0) return []
  const rows = aside.map(({ id, role, state, host, port, pid, because }) => [
    id,
    role,
    state,
    `${host}:${port}`,
    pid === null ? '-' : String(pid),
    because,
  ])
  return ['', table([['ASIDE', 'ROLE', 'STATE', 'ADDRESS', 'PID', 'WHY'], ...rows])]
}

function sentinelLines({ sentinels }: Status): string[] {
  if (sentinels.length === 0) return []
  const titles = ['SENTINEL', 'STATE', 'ADDRESS', 'PID', 'NAMES', 'PEERS', 'QUORUM', 'EPOCH']
  const rows = sentinels.map(({ id, state, host, port, pid, names, peers, quorum, epoch }) => [
    id,
    state,
    `${host}:${port}`,
    pid === null ? '-' : String(pid),
    names ?? '-',
    orUnknown(peers),
    quorum === null ? '?' : quorum ? 'yes' : 'no',
    orUnknown(epoch),
  ])
  return ['', table([titles, ...rows])]
}

function proxyLines({ proxy }: Status): string[] {
  if (proxy == null) return []
  const { id, state, host, port, replicaPort, pid, primary, replicas } = proxy
  const titles = ['PROXY', 'STATE', 'PRIMARY AT', 'LEADS TO', 'REPLICAS AT', 'LEADS TO', 'PID']
  const at = (one: number | null): string => (one === null ? '-' : `${host}:${one}`)
  const readers = replicas === null ? '?' : replicas.join(', ') || 'nobody'
  const row = [
    id,
    state,
    at(port),
    primary ?? 'nobody',
    at(replicaPort),
    replicaPort === null ? '-' : readers,
    pid === null ? '-' : String(pid),
  ]
  return ['', table([titles, row])]
}

const orUnknown = (value: number | null): string => (value === null ? '?' : String(value))

function memoryOf({ memoryBytes, memoryMaxBytes }: NodeStatus): string {
  return memoryBytes === null || memoryMaxBytes === null
    ? '?'
    : `${formatBytes(memoryBytes)} of ${memoryMaxBytes === 0 ? 'no limit' : formatBytes(memoryMaxBytes)}`
}

function linkOf({ role, link, lag }: NodeStatus): string {
  if (role !== 'replica') return '-'
  return lag === null ? (link ?? '?') : `${link}, ${formatBytes(lag)} behind`
}
