import { z } from 'zod'
import { autoscaleSchema } from './autoscale/schema.ts'
import { parseMaintenanceWindow } from './maintenance-window.ts'
import { evictionPolicies } from './memory-fit.ts'
import { bytes, duration, ratio, yesNo } from './units.ts'

/** A number of shards, nodes or copies. */
const count = (min: number, max: number) => z.int().min(min).max(max)

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
    .strictObject({
      spread: z.enum(['zone', 'host', 'none']).default('zone'),
      remakeAfter: z.union([z.literal('off'), duration]).prefault('10m'),
    })
    .prefault({})
    .describe(
      'What the copies of a shard must not share; one machine has nothing to spread over. `remakeAfter`: how long a host may be lost before its copies are made anew on others.',
    ),
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
    .union([z.literal('off'), autoscaleSchema], 'off, or when to grow and shrink, such as {} for the defaults')
    .default('off')
    .describe('Whether shards are added and removed by CPU and memory, and when. `{}`: by the defaults.'),
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
export const leavesMachine = ({ expose, hosts }: Pick<Spec, 'expose' | 'hosts'>): boolean =>
  hosts.length > 0 || !isLoopback(expose.bind)

/** Whether its engines speak TLS, and nothing else. */
export const usesTls = (spec: Pick<Spec, 'security' | 'expose' | 'hosts'>): boolean =>
  spec.security.tls === 'on' || (spec.security.tls === 'auto' && leavesMachine(spec))

/** The spec as a person wrote it; kept as it is, so that it can be shown and edited again. */
export type SpecText = Readonly<Record<string, unknown>>

/** The deployment that `holdfast up` brings up when it is given no file. */
export const defaultSpec: SpecText = { name: 'shop', displayName: 'Shop cache' }

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

/** Far enough above the nodes that no number of copies, Sentinels and spares comes near. */
const proxyAbove = 100

export function proxyPorts({ expose }: Spec): { readonly port: number; readonly replicaPort: number } {
  const { proxy: wish, basePort } = expose
  const { port = null, replicaPort = null } = wish === false ? {} : wish
  return { port: port ?? basePort + proxyAbove, replicaPort: replicaPort ?? basePort + proxyAbove + 1 }
}
