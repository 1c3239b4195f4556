/** What the fields of a spec say against each other, each with its path and what to do. */
import { z } from 'zod'
import { checkAutoscale } from './autoscale/policy.ts'
import { durableReplicasMin, isDurable } from './durability.ts'
import { objectionToWord } from './engine-words.ts'
import { judgePolicy } from './memory-fit.ts'
import type { Spec } from './spec.ts'
import { copiesOfShard, engineCountOf, isLoopback, leavesMachine, proxyPorts, usesTls } from './spec.ts'

export interface Problem {
  readonly path: string
  readonly message: string
}

/**
 * The engine's directives that a spec may not set, because another field decides them or Holdfast owns them.
 * A directive in two places would have two truths.
 */
const reservedDirectives =
  /^(port|bind|dir|include|loadmodule|aclfile|requirepass|(master|primary)(auth|user)|user|daemonize|supervised|pidfile|logfile|unixsocket|rename-command|(replica|slave)(of|-serve-stale-data|-announce-.*)|cluster-.*|maxmemory|maxmemory-policy|maxmemory-samples|maxclients|appendonly|aof-use-rdb-preamble|appenddirname|appendfilename|dbfilename|save|repl-backlog-size|repl-diskless-sync-delay|min-(replicas|slaves)-.*|shutdown-on-sigterm|protected-mode|enable-.*|tls-.*)$/

export function checkSpec(spec: Spec): Problem[] {
  const problems: Problem[] = []
  const say = (path: string, message: string) => problems.push({ path, message })
  if (spec.topology === 'cluster' && spec.shards < 3) {
    say('shards', `a cluster needs at least 3 shards to outvote a dead one, not ${spec.shards}`)
  }
  if (spec.topology !== 'cluster' && spec.shards !== 1) {
    say(
      'shards',
      `topology ${spec.topology} has one primary, not ${spec.shards}: leave it out, or use topology cluster`,
    )
  }
  if (spec.topology === 'standalone' && copiesOfShard(spec, 1) > 1) {
    say('replicasPerShard', 'a standalone engine has no replica: leave it out, or use topology sentinel')
  }
  if (spec.topology === 'standalone' && spec.spares > 0) {
    say('spares', 'a standalone engine has no copy that a spare could be made from: use topology sentinel or cluster')
  }
  if (spec.chained > 0 && spec.topology !== 'sentinel') say('chained', notChained[spec.topology])
  if (spec.topology === 'sentinel') {
    const { count: sentinels, quorum } = spec.sentinel
    if (copiesOfShard(spec, 1) < 2) say('replicasPerShard', 'Sentinels need at least one replica to promote, not 0')
    if (sentinels < 3 || sentinels % 2 === 0) {
      say('sentinel.count', `an odd number from 3 on, so that a majority is left when one dies, not ${sentinels}`)
    }
    if (quorum !== 'majority' && quorum > sentinels) {
      say('sentinel.quorum', `${quorum} of ${sentinels} Sentinels can never agree: at most ${sentinels}`)
    }
    if (spec.sentinel.downAfter < 500) say('sentinel.downAfter', 'at least 500ms: below that, pauses look like deaths')
  }
  for (const shard of Object.keys(spec.shardOverrides)) {
    if (Number(shard) > spec.shards)
      say(`shardOverrides.${shard}`, `there is no shard ${shard}: shards is ${spec.shards}`)
  }
  for (const directive of Object.keys(spec.config)) {
    if (!/^[a-z][a-z0-9-]*$/.test(directive)) say(`config.${directive}`, 'not the name of an engine directive')
    else if (reservedDirectives.test(directive))
      say(`config.${directive}`, 'decided by Holdfast or by another field of the spec')
  }
  for (const [directive, value] of Object.entries(spec.config)) {
    if (/[\r\n\0]/.test(String(value))) say(`config.${directive}`, 'a value is one line')
  }
  problems.push(
    ...checkBind(spec),
    ...checkTls(spec),
    ...checkUsers(spec),
    ...checkHosts(spec),
    ...checkAutoscale(spec),
  )
  if (spec.memory.maxPerNode < 8 * 1024 ** 2) say('memory.maxPerNode', 'at least 8mb: an empty node needs that')
  if (isDurable(spec)) problems.push(...durableProblems(spec))
  if (spec.persistOn !== 'all') problems.push(...persistOnProblems(spec))
  const policy = judgePolicy(spec.use, spec.memory.policy)
  if (policy !== null && spec.memory.despite === null) say('memory.policy', policy)
  if (spec.placement.remakeAfter !== 'off' && spec.placement.remakeAfter < 1000)
    say('placement.remakeAfter', 'at least 1s: below that, a pause looks like a loss')
  if (spec.timeouts.node < 500) say('timeouts.node', 'at least 500ms: below that, pauses look like deaths')
  if (spec.timeouts.frozenAfter < 500)
    say('timeouts.frozenAfter', 'at least 500ms: below that, pauses look like freezes')
  if (spec.timeouts.busyAfter < spec.timeouts.frozenAfter)
    say('timeouts.busyAfter', 'not shorter than timeouts.frozenAfter')
  if (spec.backup !== 'off' && spec.backup.every < 60_000) say('backup.every', 'at least 1m: each one forks an engine')
  const beyond = spec.topology === 'cluster' ? 10_000 : spec.topology === 'sentinel' ? spec.sentinel.count : 0
  const portLast = spec.expose.basePort + engineCountOf(spec) - 1 + beyond
  if (portLast > 65_535) say('expose.basePort', `the last bus port would be ${portLast}: choose a lower one`)
  return [...problems, ...checkProxy(spec)]
}

/** Off loopback nothing is listened on that has no TLS, which `checkTls` sees to, and no passwords, which all engines have. */
function checkBind({ expose: { bind }, hosts }: Spec): Problem[] {
  const say = (message: string): Problem[] => [{ path: 'expose.bind', message }]
  if (!z.ipv4().safeParse(bind).success) return say('an IPv4 address of this machine, such as 10.0.0.5')
  if (isLoopback(bind)) return []
  if (bind === '0.0.0.0') return say('what clients and copies are told to connect to: name one address of this machine')
  return hosts.length === 0 ? [] : say('with hosts each engine listens on the address of its own: leave it out')
}

function checkTls(spec: Spec): Problem[] {
  const { tls, certificate: supplied } = spec.security
  const problems: Problem[] = []
  if (tls === 'off' && leavesMachine(spec)) {
    const because = 'passwords and data would cross the network in clear'
    problems.push({ path: 'security.tls', message: `${because}: leave it out, or let everything listen on 127.0.0.1` })
  }
  if (supplied !== null && !usesTls(spec))
    problems.push({ path: 'security.certificate', message: 'shown by nobody without TLS: write tls: on beside it' })
  return problems
}

function checkProxy(spec: Spec): Problem[] {
  const { proxy: wish, basePort } = spec.expose
  if (wish === false) return []
  if (spec.topology === 'cluster') {
    const because = 'a Cluster has a primary for each shard, and its clients find them by themselves'
    return [{ path: 'expose.proxy', message: `${because}: leave it out, or use topology sentinel or standalone` }]
  }
  const problems: Problem[] = []
  const { port, replicaPort } = proxyPorts(spec)
  if (spec.topology === 'standalone' && wish.replicaPort !== null)
    problems.push({ path: 'expose.proxy.replicaPort', message: 'a standalone engine has no replica: leave it out' })
  if (port === replicaPort)
    problems.push({ path: 'expose.proxy.replicaPort', message: `port ${port} is the primary's already` })
  const beyond = basePort + engineCountOf(spec) + (spec.topology === 'sentinel' ? spec.sentinel.count : 0)
  for (const [key, one] of Object.entries({ port, replicaPort })) {
    if (one >= basePort && one < beyond)
      problems.push({ path: `expose.proxy.${key}`, message: `${one} is the port of a node: choose another` })
  }
  return problems
}

/** Hosts that are told apart, and as many of them as a shard has copies, or there are Sentinels. */
function checkHosts(spec: Spec): Problem[] {
  const { hosts, placement, topology } = spec
  if (hosts.length === 0) return []
  const problems: Problem[] = []
  const say = (path: string, message: string) => problems.push({ path, message })
  for (const [index, { name, address: at, announce }] of hosts.entries()) {
    if (hosts.findIndex((other) => other.name === name) < index)
      say(`hosts.${index}.name`, `there is a host ${name} above`)
    if (hosts.findIndex((other) => other.address === at) < index)
      say(`hosts.${index}.address`, `${at} is the address of a host above`)
    if (announce !== undefined && topology !== 'cluster')
      say(`hosts.${index}.announce`, 'needs topology cluster: Sentinels tell engines apart by their addresses')
  }
  const withData = hosts.filter(({ tiebreaker }) => !tiebreaker).length
  if (withData === 0) say('hosts', 'all are tiebreakers: one at least has to carry data')
  const copies = Math.max(...Array.from({ length: spec.shards }, (_, index) => copiesOfShard(spec, index + 1)))
  if (placement.spread !== 'none' && withData > 0 && copies > withData && hosts.length > 1)
    say(
      'hosts',
      `a shard has ${copies} copies, and there are ${withData} hosts for them: add hosts, want fewer copies, or accept two on one host with placement.spread: none`,
    )
  if (topology === 'sentinel' && placement.spread !== 'none' && spec.sentinel.count > hosts.length && hosts.length > 1)
    say(
      'sentinel.count',
      `${spec.sentinel.count} Sentinels, and ${hosts.length} hosts: two on one host would be lost together. Add a host, which may be a small one with tiebreaker: yes`,
    )
  return problems
}

/** What class `durable` cannot do without. */
function durableProblems(spec: Spec): Problem[] {
  const problems: Problem[] = []
  const say = (path: string, message: string) => problems.push({ path, message })
  if (spec.topology !== 'cluster') {
    say(
      'durability',
      `durable needs topology cluster, not ${spec.topology}: ${notDurable[spec.topology]}. Use topology cluster, or durability cache`,
    )
    return problems
  }
  for (let shard = 1; shard <= spec.shards; shard++) {
    const replicas = copiesOfShard(spec, shard) - 1
    if (replicas >= durableReplicasMin) continue
    const path = spec.shardOverrides[String(shard)] === undefined ? 'replicasPerShard' : `shardOverrides.${shard}`
    if (problems.some((problem) => problem.path === path)) continue
    say(
      path,
      `durability durable needs ${durableReplicasMin} replicas a shard, not ${replicas}: with one, the loss of either copy stops all writes`,
    )
  }
  if (spec.persistence === 'none') {
    say('persistence', 'durability durable needs files to start from: use hybrid, and not none')
  }
  if (spec.config['repl-diskless-sync'] !== undefined) {
    say(
      'config.repl-diskless-sync',
      'with durability durable decided by Holdfast: it keeps an engine that a stranger starts',
    )
  }
  if (spec.memory.policy.startsWith('allkeys-')) {
    say(
      'memory.policy',
      `${spec.memory.policy} evicts what was acknowledged: with durability durable use noeviction, or volatile-… for keys that may go`,
    )
  }
  return problems
}

/** Some copies write and others do not: there must be some, something to write, and a start that is guarded. */
function persistOnProblems(spec: Spec): Problem[] {
  const { persistOn, persistence } = spec
  const say = (message: string, path = 'persistOn'): Problem => ({ path, message })
  if (spec.topology === 'standalone')
    return [say(`a standalone engine is its only copy, ${persistOn} would mean none: leave it out`)]
  if (persistence === 'none')
    return [say(`${persistOn} says nothing with persistence none: leave it out, or choose rdb, aof or hybrid`)]
  if (isDurable(spec))
    return [say('durability durable needs the files of every copy: leave it out, or choose durability cache')]
  const bare = Array.from({ length: spec.shards }, (_, index) => index + 1).find(
    (shard) => copiesOfShard(spec, shard) < 2,
  )
  const problems = bare === undefined ? [] : [say(`shard-${bare} has no replica that could write: add one`)]
  if (spec.topology === 'cluster' && spec.config['repl-diskless-sync'] !== undefined) {
    const because = `with persistOn ${persistOn} decided by Holdfast: it keeps an engine that a stranger starts empty`
    problems.push(say(because, 'config.repl-diskless-sync'))
  }
  return problems
}

const notChained = {
  cluster:
    'an engine of a Cluster follows a primary, and refuses to follow a replica: leave it out and add to replicasPerShard, or use topology sentinel',
  standalone: 'a standalone engine has no replica that could be followed: leave it out, or use topology sentinel',
} as const

const notDurable = {
  sentinel: 'Sentinels promote by what they heard seconds ago, and nobody can keep them from it',
  standalone: 'one engine has no copy that could have a write',
} as const

const reservedUsers = new Set(['default', 'app', 'replication', 'probe', 'admin', 'sentinel'])

function checkUsers({ security: { users } }: Spec): Problem[] {
  return users.flatMap(({ name, commands }, index): Problem[] => {
    const path = `security.users.${index}`
    const wrong = (commands ?? []).flatMap((word) => objectionToWord(word) ?? [])
    const isTwice = users.findIndex((other) => other.name === name) < index
    return [
      ...(reservedUsers.has(name) ? [{ path: `${path}.name`, message: `${name} is a user that Holdfast makes` }] : []),
      ...(isTwice ? [{ path: `${path}.name`, message: `there is a user ${name} above` }] : []),
      ...wrong.map((message) => ({ path: `${path}.commands`, message })),
    ]
  })
}
