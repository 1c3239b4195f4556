/**
 * What a running deployment needs, by asking it and changing nothing: INFO and, in a Cluster, CLUSTER NODES. It may be
 * anybody's, so it is asked as whoever the address names, and what it may not answer is left unknown.
 */

import { HoldfastError, infoNumber, parseClusterNodes, parseInfo } from '@holdfast/core'
import { EngineLink } from './link.ts'

export interface Measured {
  readonly dataBytes: number
  readonly opsPerSecond: number
  readonly writeShare: number
  readonly multiKey: 'none' | 'any'
  /** How many primaries were asked. */
  readonly primaries: number
}

interface Target {
  readonly address: string
  readonly port: number
  readonly username: string
  readonly password: string
}

export async function measureDeployment(url: string): Promise<Measured> {
  const target = parseAddress(url)
  const first = await askEngine(target)
  if (first.info.get('cluster_enabled') !== '1') return sum([first])
  const view = parseClusterNodes(String(await ask(target, ['CLUSTER', 'NODES'])))
  const primaries = view.entries.filter(
    ({ role, health, slots }) => role === 'primary' && health === 'ok' && slots.length > 0,
  )
  // A node that never heard its own address says none of itself.
  const places = primaries.map(({ address, port }) => ({ ...target, address: address || target.address, port }))
  return sum(await Promise.all(places.map(askEngine)))
}

/** `redis://user:password@host:port`. The password is never said again. */
function parseAddress(text: string): Target {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !['redis:', 'valkey:'].includes(url.protocol) || url.hostname === '') {
    throw new HoldfastError(
      'USAGE',
      '--from wants an address such as redis://user:password@host:6379 (TLS is not supported here)',
    )
  }
  const address = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const [username, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)]
  return { address, port: Number(url.port || 6379), username: username || (password === '' ? '' : 'default'), password }
}

interface Asked {
  readonly info: ReadonlyMap<string, string>
  readonly calls: ReadonlyMap<string, number>
}

async function askEngine(target: Target): Promise<Asked> {
  const info = parseInfo(String(await ask(target, ['INFO', 'everything'])))
  const calls = [...info].flatMap(([field, value]): [string, number][] => {
    const command = /^cmdstat_(\S+)$/.exec(field)?.[1]
    const count = /^calls=(\d+)/.exec(value)?.[1]
    return command === undefined || count === undefined ? [] : [[command.toLowerCase(), Number(count)]]
  })
  return { info, calls: new Map(calls) }
}

async function ask(target: Target, command: readonly string[]): Promise<unknown> {
  const link = new EngineLink({ ...target, name: 'holdfast-advise' })
  try {
    return await link.command(command, 5000)
  } finally {
    link.close()
  }
}

/** Of a deployment with several primaries, all together. */
function sum(asked: readonly Asked[]): Measured {
  const total = (numberOf: (one: Asked) => number): number => asked.reduce((all, one) => all + numberOf(one), 0)
  const [reads, writes] = [total(({ calls }) => count(calls, isRead)), total(({ calls }) => count(calls, isWrite))]
  return {
    dataBytes: total(({ info }) => Math.max(0, infoNumber(info, 'used_memory') - buffersOf(info))),
    opsPerSecond: Math.ceil(total(({ info }) => busiestKnown(info))),
    writeShare: reads + writes === 0 ? 0 : writes / (reads + writes),
    multiKey: total(({ calls }) => count(calls, isOverSeveralKeys)) > 0 ? 'any' : 'none',
    primaries: asked.length,
  }
}

/** What is now, or what was on average: neither is the peak, which only whoever asks can know. */
function busiestKnown(info: ReadonlyMap<string, string>): number {
  const average = infoNumber(info, 'total_commands_processed') / Math.max(1, infoNumber(info, 'uptime_in_seconds'))
  return Math.max(infoNumber(info, 'instantaneous_ops_per_sec'), average)
}

/** Buffers for clients and replicas are no data, and an empty engine is not nothing. */
function buffersOf(info: ReadonlyMap<string, string>): number {
  const fields = ['used_memory_startup', 'mem_clients_normal', 'mem_clients_slaves', 'mem_replication_backlog']
  return fields.reduce((all, field) => all + Number(info.get(field) ?? 0), 0)
}

const count = (calls: Asked['calls'], isCounted: (command: string) => boolean): number =>
  [...calls].reduce((all, [command, number]) => all + (isCounted(command) ? number : 0), 0)

const isWrite = (command: string): boolean =>
  /^(m?set|setex|psetex|setnx|msetnx|getset|getdel|append|(incr|decr)(by|byfloat)?|del|unlink|p?expire(at)?|persist|rename(nx)?|copy|h(m?set|setnx|del|incrby|incrbyfloat|p?expire)|[lr]push(x)?|[lr]pop|l(rem|set|trim|insert|move)|rpoplpush|b[lr]pop|sadd|srem|spop|smove|z(add|rem|incrby|popmin|popmax)|x(add|del|trim|ack|group)|pfadd|setbit|bitfield|eval|evalsha|fcall|geoadd)$/.test(
    command,
  )

const isRead = (command: string): boolean =>
  /^(m?get|getex|getrange|strlen|exists|p?ttl|type|h(get|mget|getall|keys|vals|len|exists|scan)|l(range|index|len)|s(members|ismember|mismember|card|scan|randmember)|z(range|rangebyscore|revrange|score|rank|card|count|scan)|x(range|read|readgroup|len)|getbit|bitcount|pfcount|geosearch|eval_ro|fcall_ro)$/.test(
    command,
  )

/** What a Cluster refuses unless all keys lie in one slot. MGET and DEL may have had one key each: nobody counts that. */
const isOverSeveralKeys = (command: string): boolean =>
  /^(multi|exec|mset(nx)?|rename(nx)?|copy|smove|rpoplpush|lmove|(s|z)(inter|union|diff)(store|card)?|bitop|pfmerge|eval|evalsha|fcall)$/.test(
    command,
  )
