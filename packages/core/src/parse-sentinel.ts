import type { SentinelWatch, WatchedReplica, WatchingPeer } from './observed.ts'

export interface SentinelReplies {
  readonly master: unknown
  readonly replicas: unknown
  readonly sentinels: unknown
  readonly quorumOk: boolean
}

/** How a Sentinel sees a primary, from `SENTINEL MASTER`, `REPLICAS` and `SENTINELS`: lists of names and values. */
export function parseWatch({ master, replicas, sentinels, quorumOk }: SentinelReplies): SentinelWatch {
  const fields = pairsOf(master)
  const settings = ['quorum', 'down-after-milliseconds', 'failover-timeout', 'parallel-syncs']
  return {
    primary: endpointOf(fields),
    flags: flagsOf(fields),
    configEpoch: numberOf(fields, 'config-epoch'),
    settings: Object.fromEntries(settings.map((name) => [name, fields.get(name) ?? ''])),
    roleReported: fields.get('role-reported') === 'slave' ? 'replica' : 'primary',
    roleReportedMs: numberOf(fields, 'role-reported-time'),
    lastOkPingMs: numberOf(fields, 'last-ok-ping-reply'),
    quorumOk,
    replicas: listOf(replicas).map(parseReplica),
    peers: listOf(sentinels).map(parsePeer),
  }
}

function parseReplica(reply: unknown): WatchedReplica {
  const fields = pairsOf(reply)
  return {
    ...endpointOf(fields),
    runId: fields.get('runid') ?? '',
    flags: flagsOf(fields),
    priority: numberOf(fields, 'slave-priority'),
    offset: numberOf(fields, 'slave-repl-offset'),
    linkDownMs: numberOf(fields, 'master-link-down-time'),
    infoAgeMs: numberOf(fields, 'info-refresh'),
    lastOkPingMs: numberOf(fields, 'last-ok-ping-reply'),
  }
}

function parsePeer(reply: unknown): WatchingPeer {
  const fields = pairsOf(reply)
  return { ...endpointOf(fields), sentinelId: fields.get('runid') ?? '', flags: flagsOf(fields) }
}

type Fields = ReadonlyMap<string, string>

const endpointOf = (fields: Fields) => ({ address: fields.get('ip') ?? '', port: numberOf(fields, 'port') })

const flagsOf = (fields: Fields): string[] => (fields.get('flags') ?? '').split(',').filter((flag) => flag !== '')

const numberOf = (fields: Fields, name: string): number => Number(fields.get(name) ?? 0)

const listOf = (reply: unknown): readonly unknown[] => (Array.isArray(reply) ? reply : [])

function pairsOf(reply: unknown): Fields {
  const words = listOf(reply).map(String)
  return new Map(words.flatMap((word, at) => (at % 2 === 0 ? [[word, words[at + 1] ?? ''] as const] : [])))
}
