import type { AttachedReplica, DiskFacts, EngineFacts, EngineLoad, ReplicaLink } from './observed.ts'

export type InfoFields = ReadonlyMap<string, string>

/** The fields of an `INFO` reply. Sections are dropped: no field name occurs twice. */
export function parseInfo(text: string): InfoFields {
  const fields = new Map<string, string>()
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}

/** The number of a field; throws if it is not there, since a missing number must not become a zero. */
export function infoNumber(info: InfoFields, field: string): number {
  const value = Number(info.get(field) || Number.NaN)
  if (Number.isNaN(value)) throw new Error(`INFO has no number ${field}`)
  return value
}

/** Valkey answers `redis_version:7.2.4` for compatibility, so its own fields are asked first. */
export function engineVersion(info: InfoFields): string {
  return info.get('valkey_version') ?? info.get('redis_version') ?? 'unknown'
}

/** What `INFO` says of replication. */
export function parseReplication(
  info: InfoFields,
): Pick<EngineFacts, 'role' | 'replid' | 'replidBefore' | 'offsetBefore' | 'offset' | 'link' | 'replicas'> {
  const role = info.get('role') === 'master' ? 'primary' : 'replica'
  return {
    role,
    replid: info.get('master_replid') ?? '',
    replidBefore: info.get('master_replid2') ?? '',
    offsetBefore: offsetBefore(info),
    offset: infoNumber(info, role === 'primary' ? 'master_repl_offset' : 'slave_repl_offset'),
    link: role === 'replica' ? parseLink(info) : null,
    replicas: role === 'primary' ? parseAttached(info) : [],
  }
}

/** The engine tells the first byte that it does not share, and -1 where it continued from nobody. */
function offsetBefore(info: InfoFields): number | null {
  const first = Number(info.get('second_repl_offset') ?? -1)
  return first > 0 ? first - 1 : null
}

/** What `INFO` says of snapshots and of the append-only file. */
export function parseDisk(info: InfoFields): DiskFacts {
  const isSet = (field: string): boolean => info.get(field) === '1'
  return {
    logs: isSet('aof_enabled'),
    logOk: info.get('aof_last_write_status') !== 'err',
    rewriting: isSet('aof_rewrite_in_progress') || isSet('aof_rewrite_scheduled'),
    rewriteOk: info.get('aof_last_bgrewrite_status') !== 'err',
    saving: isSet('rdb_bgsave_in_progress'),
    saveOk: info.get('rdb_last_bgsave_status') !== 'err',
    savedAgoSeconds: savedAgo(info),
  }
}

/** What `INFO` says of the work since the process started; all of it is in the sections that it tells unasked. */
export function parseLoad(info: InfoFields): EngineLoad {
  const [user, system] = [info.get('used_cpu_user_main_thread'), info.get('used_cpu_sys_main_thread')]
  const isTold = user !== undefined && system !== undefined
  return {
    runId: info.get('run_id') ?? '',
    mainThreadMs: isTold ? (Number(user) + Number(system)) * 1000 : null,
    backlogBytes: Number(info.get('mem_replication_backlog') ?? 0),
    evictedKeys: infoNumber(info, 'evicted_keys'),
    hits: infoNumber(info, 'keyspace_hits'),
    misses: infoNumber(info, 'keyspace_misses'),
  }
}

/** An engine that has never saved says that it did so when it started; how often it did, it says since Redis 7. */
function savedAgo(info: InfoFields): number | null {
  const now = Math.floor(Number(info.get('server_time_usec')) / 1_000_000)
  const ago = now - Number(info.get('rdb_last_save_time'))
  const times = info.get('rdb_saves')
  const hasSaved = times === undefined ? ago < Number(info.get('uptime_in_seconds')) : times !== '0'
  return hasSaved && !Number.isNaN(ago) ? Math.max(0, ago) : null
}

function parseLink(info: InfoFields): ReplicaLink {
  const up = info.get('master_link_status') === 'up'
  return {
    state: info.get('master_sync_in_progress') === '1' ? 'syncing' : up ? 'up' : 'down',
    downSeconds: Math.max(0, Number(info.get('master_link_down_since_seconds') ?? 0)),
    primaryAddress: info.get('master_host') ?? '',
    primaryPort: Number(info.get('master_port') ?? 0),
    priority: Number(info.get('slave_priority') ?? 100),
  }
}

function parseAttached(info: InfoFields): AttachedReplica[] {
  const attached: AttachedReplica[] = []
  for (let index = 0; ; index++) {
    const line = info.get(`slave${index}`)
    if (line === undefined) return attached
    const pairs = new Map(line.split(',').map((pair) => pair.split('=') as [string, string]))
    const address = pairs.get('ip')
    attached.push({
      ...(address === undefined ? {} : { address }),
      port: Number(pairs.get('port')),
      online: pairs.get('state') === 'online',
      offset: Number(pairs.get('offset')),
      ackAgeSeconds: Number(pairs.get('lag')),
    })
  }
}

/** Keys of all databases. */
export function keyCount(info: InfoFields): number {
  let keys = 0
  for (const [field, value] of info) {
    if (/^db\d+$/.test(field)) keys += Number(/keys=(\d+)/.exec(value)?.[1] ?? 0)
  }
  return keys
}
