import { z } from 'zod'
import { durableReplicasMin, isDurable } from './durability.ts'
import { objectionToWord } from './engine-words.ts'
import { HoldfastError } from './error.ts'
import { parseMaintenanceWindow } from './maintenance-window.ts'
import type { EvictionPolicy } from './memory-fit.ts'
import { evictionPolicies, judgePolicy, policyFor } from './memory-fit.ts'
import { bytes, duration, ratio, yesNo } from './units.ts'

/** A number of shards, nodes or copies. */
const count = (min: number, max: number) => z.int().min(min).max(max)

/**
 * The engine's directives that a spec may not set, because another field decides them or Holdfast owns them.
 * A directive in two places would have two truths.
 */
const reservedDirectives =
  /^(port|bind|dir|include|loadmodule|aclfile|requirepass|(master|primary)(auth|user)|user|daemonize|supervised|pidfile|logfile|unixsocket|rename-command|(replica|slave)(of|-serve-stale-data|-announce-.*)|cluster-.*|maxmemory|maxmemory-policy|maxmemory-samples|maxclients|appendonly|aof-use-rdb-preamble|appenddirname|appendfilename|dbfilename|save|repl-backlog-size|repl-diskless-sync-delay|min-(replicas|slaves)-.*|shutdown-on-sigterm|protected-mode|enable-.*|tls-.*)$/

const ipAddress = z.union([z.ipv4(), z.ipv6()], 'an IP address: engines tell each other no names')

/** One machine: where its agent joined, and what the engines on it are called by others. */
const host = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'use 1 to 40 of a-z, 0-9 and -, as "holdfast hosts" lists it'),
  /** Where engines listen there. */
  address: ipAddress,
  /** What fails together with it. Absent: it is a zone of its own. */
  zone: z.string().min(1).max(80).optional(),
  /** It carries Sentinels, and no data. */
  tiebreaker: yesNo.prefault('no'),
  /** What clients outside are told instead, as where addresses are translated. `ports`: of its engines, in their order. */
  announce: z
    .strictObject({
      ip: ipAddress.optional(),
      hostname: z
        .string()
        .regex(/^[a-z0-9.-]{1,253}$/i, 'a name of DNS')
        .optional(),
      ports: z.array(count(1, 65_535)).max(500).optional(),
    })
    .optional(),
})

/** A pattern of keys or channels, one word of an ACL file. */
const pattern = z.string().regex(/^[!-~]{1,200}$/, 'one pattern without spaces, such as orders:*')

const user = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9_-]{0,39}$/, 'use 1 to 40 of a-z, 0-9, _ and -, starting with a letter'),
  /** SHA-256 of its password in lower-case hex. Null: one is made, and shown by `holdfast url --user`. */
  passwordHash: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'the SHA-256 of the password, 64 of 0-9 and a-f')
    .nullable()
    .default(null),
  keys: z.array(pattern).max(50).default([]),
  channels: z.array(pattern).max(50).default([]),
  /** Words such as `+@read` or `-flushall`, in their order. Null: all that `app` may. */
  commands: z.array(z.string()).max(100).nullable().default(null),
})

const file = z.string().startsWith('/', 'an absolute path: the controller runs elsewhere')

/** PEM files where the controller runs; every engine shows the same certificate. */
const certificate = z.strictObject({ ca: file, cert: file, key: file })

/** One address that always leads to the primary, and one that leads to its replicas. */
const proxy = z
  .union([
    yesNo,
    z.strictObject({
      port: count(1024, 65_535).nullable().default(null),
      replicaPort: count(1024, 65_535).nullable().default(null),
      lastResort: yesNo.prefault('no'),
    }),
  ])
  .transform((wish) => (wish === true ? { port: null, replicaPort: null, lastResort: false } : wish))

/**
 * What is wanted of one deployment. One schema is the type, the check, the defaults and the documentation.
 * People write units (`5s`, `256mb`, `70%`); inside, durations are milliseconds, sizes bytes, shares ratios.
 */
export const Spec = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,39}$/, 'use 1 to 40 of a-z, 0-9 and -, starting with a letter')
    .describe('How people, metrics and the connection string call it.'),
  displayName: z.string().max(80).default('').describe('A longer name for people. Empty: the name.'),
  region: z.string().default('local').describe('A label for people and metrics.'),
  topology: z.enum(['standalone', 'sentinel', 'cluster']).default('cluster').describe('How the engines are joined.'),
  shards: count(1, 500)
    .default(3)
    .describe('Primaries at creation; afterwards `scale` decides. A cluster needs 3 to vote.'),
  replicasPerShard: count(0, 5).default(1).describe('Copies beside each primary. 0 means nobody takes over.'),
  shardOverrides: z
    .record(z.string().regex(/^[1-9][0-9]*$/, 'a shard by its number'), z.strictObject({ replicas: count(0, 5) }))
    .default({})
    .describe('More copies for a critical shard, by its number.'),
  spares: count(0, 50)
    .default(0)
    .describe('Engines that stand by, empty, to take the place of a node that does not come back.'),
  chained: count(0, 50)
    .default(0)
    .describe(
      'Copies that follow a replica in place of the primary, and are never promoted; with topology `sentinel`.',
    ),
  use: z
    .enum(['cache', 'session', 'queue', 'primary-store'])
    .default('cache')
    .describe('What the data is for. Only a `cache` may start empty after losing every copy.'),
  durability: z
    .union([
      z.enum(['cache', 'durable']),
      z.strictObject({ class: z.literal('durable'), fallback: z.literal('native') }),
    ])
    .default('cache')
    .describe('`cache` replicates asynchronously; `durable` acknowledges after a copy has the write.'),
  engine: z
    .strictObject({
      flavor: z.enum(['auto', 'valkey', 'redis']).default('auto'),
      version: z
        .string()
        .regex(/^\d+(\.\d+){0,2}$/, 'a version such as 7, 7.0 or 7.0.15')
        .nullable()
        .default(null),
      path: z.string().startsWith('/', 'an absolute path: the controller runs elsewhere').nullable().default(null),
    })
    .prefault({})
    .describe('Which engine to run; `path` names a server binary and wins over everything found.'),
  hosts: z.array(host).default([]).describe('Empty: this machine.'),
  placement: z
    .strictObject({ spread: z.enum(['zone', 'host', 'none']).default('zone') })
    .prefault({})
    .describe('What the copies of a shard must not share. One machine has nothing to spread over.'),
  memory: z
    .strictObject({
      maxPerNode: bytes.prefault('256mb'),
      policy: z.enum(evictionPolicies).default('allkeys-lru'),
      despite: z.string().min(1).max(200).nullable().default(null),
      samples: count(1, 64).default(10),
    })
    .prefault({})
    .describe(
      '`maxmemory` of each node, and what is evicted at that limit. `despite`: why a policy that does not fit `use`.',
    ),
  persistence: z
    .enum(['none', 'rdb', 'aof', 'hybrid'])
    .default('hybrid')
    .describe('`hybrid` is an AOF with an RDB preamble: quick to load, at most two seconds lost on power failure.'),
  persistOn: z.enum(['all', 'replicas', 'one']).default('all').describe('Which copies of a shard write to disk.'),
  fullCoverage: yesNo.prefault('no').describe('`yes` stops the whole cluster when one shard is gone.'),
  staleReads: yesNo.prefault('yes').describe('Whether a replica answers while its primary is away.'),
  failover: z
    .strictObject({
      maxLag: z.strictObject({ bytes: bytes.prefault('1mb'), time: duration.prefault('1s') }).prefault({}),
      lossAfter: duration.prefault('30s'),
    })
    .prefault({})
    .describe('How far behind a replica may be and still take over, and how long to wait before accepting loss.'),
  timeouts: z
    .strictObject({
      node: duration.prefault('5s'),
      frozenAfter: duration.prefault('2s'),
      busyAfter: duration.prefault('30s'),
      leaseAfter: duration.prefault('1500ms'),
    })
    .prefault({})
    .describe("`node` is the engine's own failure detection; the rest is how long Holdfast waits for proof."),
  sentinel: z
    .strictObject({
      count: count(1, 9).default(3),
      quorum: z.union([z.literal('majority'), count(1, 9)]).default('majority'),
      downAfter: duration.prefault('5s'),
      failoverTimeout: duration.prefault('10s'),
      parallelSyncs: count(1, 10).default(1),
    })
    .prefault({})
    .describe('For topology `sentinel`.'),
  autoscale: z
    .union([
      z.literal('off'),
      z.strictObject({
        nodes: z.strictObject({ min: count(6, 1000), max: count(6, 1000) }),
        out: z.strictObject({ cpuAbove: ratio, memoryAbove: ratio, for: duration }),
        in: z.strictObject({ bothBelow: ratio, for: duration }),
      }),
    ])
    .default('off')
    .describe('Add and remove shards by CPU and memory.'),
  maintenanceWindow: z
    .string()
    .refine(
      (text) => parseMaintenanceWindow(text) !== undefined,
      'write "Sun 02:00-04:00 UTC" or "daily 02:00-04:00 UTC"',
    )
    .nullable()
    .default(null)
    .describe('When work that may wait, such as a restart for a setting, is done.'),
  expose: z
    .strictObject({
      bind: z.string().default('127.0.0.1'),
      basePort: count(1024, 55_000).default(7001),
      proxy: proxy.prefault('no'),
    })
    .prefault({})
    .describe(
      'Node n listens on basePort + n - 1; its cluster bus 10000 above that. `proxy`: one address that follows the primary.',
    ),
  security: z
    .strictObject({
      tls: z.enum(['auto', 'on', 'off']).default('auto'),
      certificate: certificate.nullable().default(null),
      users: z.array(user).max(50).default([]),
      legacyAuth: yesNo.prefault('no'),
    })
    .prefault({})
    .describe(
      '`tls`: `auto` is on as soon as anything can be reached from another machine. `certificate`: files of your own. `users`: beside `app`, each with what it may do. `legacyAuth: yes` lets `AUTH password` without a user name work.',
    ),
  backup: z
    .union([
      z.literal('off'),
      z.strictObject({
        every: duration.prefault('24h'),
        keep: count(1, 1000).default(7),
        directory: z
          .string()
          .startsWith('/', 'an absolute path: the controller runs elsewhere')
          .nullable()
          .default(null),
      }),
    ])
    .prefault({})
    .describe(
      'How often by itself, how many verified ones to keep, and where. `off`: only when it is asked for; so it is by itself with persistence none.',
    ),
  alerts: z
    .strictObject({
      memoryAbove: ratio.prefault('75%'),
      hitRateBelow: ratio.prefault('85%'),
      fragmentationAbove: z.number().positive().default(1.5),
      replicationLagAbove: duration.prefault('10s'),
    })
    .prefault({})
    .describe('Thresholds.'),
  notify: z.array(z.unknown()).default([]).describe('Where alerts go.'),
  drills: yesNo.prefault('no').describe('`yes` allows faults to be injected on purpose, without asking again.'),
  config: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .default({})
    .describe('Any other engine directive.'),
})

export type Spec = z.output<typeof Spec>

export const isLoopback = (address: string): boolean => /^(127\.\d+\.\d+\.\d+|::1|localhost)$/.test(address)

/** Whether any engine of it can be reached from another machine. */
const leavesMachine = ({ expose, hosts }: Pick<Spec, 'expose' | 'hosts'>): boolean =>
  hosts.length > 0 || !isLoopback(expose.bind)

/** Whether its engines speak TLS, and nothing else. */
export const usesTls = (spec: Pick<Spec, 'security' | 'expose' | 'hosts'>): boolean =>
  spec.security.tls === 'on' || (spec.security.tls === 'auto' && leavesMachine(spec))

/** The spec as a person wrote it; kept as it is, so that it can be shown and edited again. */
export type SpecText = Readonly<Record<string, unknown>>

/** The deployment that `holdfast up` brings up when it is given no file. */
export const defaultSpec: SpecText = { name: 'shop', displayName: 'Shop cache' }

interface Problem {
  readonly path: string
  readonly message: string
}

/**
 * The wanted state, checked. Throws SPEC_INVALID (with every problem and its path) for what is wrong and
 * SPEC_UNSUPPORTED for what is right but not built yet: neither is ever ignored.
 */
export function parseSpec(input: unknown): Spec {
  const parsed = Spec.safeParse(withShape(input))
  if (!parsed.success) {
    throw specError('SPEC_INVALID', parsed.error.issues.flatMap(describeIssue))
  }
  const spec = withBackup(withPolicy(parsed.data, input as SpecText), input as SpecText)
  const contradictions = checkSpec(spec)
  if (contradictions.length > 0) throw specError('SPEC_INVALID', contradictions)
  const missing = notSupportedYet(input as SpecText, spec)
  if (missing.length > 0) throw specError('SPEC_UNSUPPORTED', missing)
  return spec
}

/** The default of one field hangs on others: only a cache that may lose writes evicts without being asked to. */
function withPolicy(spec: Spec, input: SpecText): Spec {
  const written = input['memory'] as { policy?: EvictionPolicy } | undefined
  if (written?.policy !== undefined) return spec
  const policy = isDurable(spec) ? 'noeviction' : policyFor(spec.use)
  return { ...spec, memory: { ...spec.memory, policy } }
}

/** What is on no disk by the wish of its owner is put on none by ours. */
function withBackup(spec: Spec, { backup }: SpecText): Spec {
  return backup === undefined && spec.persistence === 'none' ? { ...spec, backup: 'off' } : spec
}

/** What a topology has only one of need not be written down. */
function withShape(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || !('topology' in input)) return input
  if (input.topology === 'standalone') return { shards: 1, replicasPerShard: 0, ...input }
  return input.topology === 'sentinel' ? { shards: 1, ...input } : input
}

/** Copies of each shard: its primary and its replicas. */
export function copiesOfShard(spec: Spec, shardNumber: number): number {
  return 1 + (spec.shardOverrides[String(shardNumber)]?.replicas ?? spec.replicasPerShard)
}

/** Nodes of the whole deployment. */
export function nodeCountOf(spec: Spec): number {
  return Array.from({ length: spec.shards }, (_, index) => copiesOfShard(spec, index + 1)).reduce((a, b) => a + b, 0)
}

/** Engines of the whole deployment: its nodes, what is chained behind them, and what stands by. */
export const engineCountOf = (spec: Spec): number => nodeCountOf(spec) + spec.chained + spec.spares

/** How large it is, in words: "3 shards on 6 nodes". */
export function describeSize(spec: Spec): string {
  switch (spec.topology) {
    case 'cluster':
      return `${spec.shards} shards on ${nodeCountOf(spec)} nodes`
    case 'sentinel':
      return `a primary and ${nodeCountOf(spec) - 1} replicas${spec.chained === 0 ? '' : `, ${spec.chained} chained behind them`}, watched by ${spec.sentinel.count} Sentinels`
    case 'standalone':
      return 'one engine without a copy'
    default:
      return spec.topology satisfies never
  }
}

function checkSpec(spec: Spec): Problem[] {
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
  problems.push(...checkBind(spec), ...checkTls(spec), ...checkUsers(spec), ...checkHosts(spec))
  if (spec.memory.maxPerNode < 8 * 1024 ** 2) say('memory.maxPerNode', 'at least 8mb: an empty node needs that')
  if (isDurable(spec)) problems.push(...durableProblems(spec))
  if (spec.persistOn !== 'all') problems.push(...persistOnProblems(spec))
  const policy = judgePolicy(spec.use, spec.memory.policy)
  if (policy !== null && spec.memory.despite === null) say('memory.policy', policy)
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

/** Far enough above the nodes that no number of copies, Sentinels and spares comes near. */
const proxyAbove = 100

export function proxyPorts({ expose }: Spec): { readonly port: number; readonly replicaPort: number } {
  const { proxy: wish, basePort } = expose
  const { port = null, replicaPort = null } = wish === false ? {} : wish
  return { port: port ?? basePort + proxyAbove, replicaPort: replicaPort ?? basePort + proxyAbove + 1 }
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

/** Fields of the contract that this version does not act on. Written down by a person, each is refused. */
function notSupportedYet(input: SpecText, spec: Spec): Problem[] {
  const later: [path: string, asked: boolean][] = [
    ['autoscale', spec.autoscale !== 'off'],
    ['notify', spec.notify.length > 0],
    ['sentinel', 'sentinel' in input && spec.topology !== 'sentinel'],
    ['alerts', 'alerts' in input],
  ]
  return later.filter(([, asked]) => asked).map(([path]) => ({ path, message: 'not supported yet: remove it' }))
}

function describeIssue(issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: path === '' ? key : `${path}.${key}`,
      message: `unknown key; ${nearestKey(key)}`,
    }))
  }
  return [{ path: path === '' ? '(the whole spec)' : path, message: issue.message }]
}

function nearestKey(key: string): string {
  const known = Object.keys(Spec.shape)
  const near = known.find((name) => name.startsWith(key) || key.startsWith(name) || sameLetters(name, key))
  return near === undefined ? 'see docs/spec.md for all keys' : `did you mean "${near}"?`
}

const sameLetters = (a: string, b: string): boolean =>
  a.toLowerCase().split('').sort().join() === b.toLowerCase().split('').sort().join()

function specError(code: 'SPEC_INVALID' | 'SPEC_UNSUPPORTED', problems: readonly Problem[]): HoldfastError {
  return new HoldfastError(code, problems.map(({ path, message }) => `${path}: ${message}`).join('\n'), { problems })
}
