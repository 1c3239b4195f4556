/**
 * The configuration file of one engine, from the spec. Pure, so that `holdfast plan --config` shows exactly what a
 * node will get, and so that a changed spec shows as a changed text.
 *
 * Three kinds of directives, in this order in the file:
 * - those that say where the node is: port, directories, users; they need a restart and never drift;
 * - those that Holdfast owns (`ownedDirectives`): changed by hand, they are set back;
 * - defaults of ours and the spec's own `config`: a change by hand is reported and left.
 * Whatever comes later in the file wins, so the spec's `config` is last.
 */

import { engineUsers } from './acl.ts'
import type { NodePlace } from './document.ts'
import { hasNativeFallback, heldInFile, isDurable, isHeldInFile } from './durability.ts'
import type { EngineBuild } from './engine-version.ts'
import { engineHas } from './engine-version.ts'
import { ownedBy, persistenceDirectives } from './persistence-config.ts'
import type { Announced } from './placement/hosting.ts'
import type { Spec } from './spec.ts'

/** What the machine allows and what was measured; the defaults fit a deployment that does not exist yet. */
export interface ConfigTerms {
  /** What the shard writes, so that a replica that was away can catch up from the backlog. Default 0. */
  readonly writeBytesPerSecond?: number
  /** The most files that the engine may open. Default: enough. With less, the engine lowers `maxclients` by itself. */
  readonly openFilesMax?: number
}

export interface ConfigInput extends ConfigTerms {
  readonly spec: Spec
  readonly node: NodePlace
  /** User name to password. Only the replication user's is written, because an engine must know it in clear. */
  readonly secrets: Readonly<Record<string, string>>
  readonly engine: EngineBuild
  /** The node's own directory, absolute. */
  readonly dir: string
  /** The name of the file with its certificate and key. Absent: it speaks in clear. */
  readonly identity?: string | undefined
  /** What others call it. Default: the address that it has. */
  readonly announced?: Announced | null
}

/** Where things are in a node's directory. The data has a directory of its own, so that a purge takes nothing else. */
export function nodePaths(dir: string) {
  return {
    config: `${dir}/engine.conf`,
    /** Of a Sentinel. */
    sentinel: `${dir}/sentinel.conf`,
    /** Of a proxy: what it shall read, and what it has read. */
    proxy: `${dir}/haproxy.cfg`,
    proxyLoaded: `${dir}/loaded.cfg`,
    users: `${dir}/users.acl`,
    /** Of one that speaks TLS: whom it believes, and what it shows. */
    authority: `${dir}/tls/ca.crt`,
    identities: `${dir}/tls`,
    data: `${dir}/data`,
  } as const
}

export const maxclientsWanted = 10_000

/** Files that an engine needs beside its clients' connections: its data, its cluster bus, its log. */
const openFilesBeside = 32

/** What the limit of open files must be, or the engine lowers `maxclients` by itself. */
export const openFilesNeeded = maxclientsWanted + openFilesBeside

const mb = 1024 ** 2

/** A directive, its value word by word, and why it is so where that is not obvious. */
interface Line {
  readonly directive: string
  readonly values: readonly string[]
  readonly why?: string
}

/** The node's engine configuration. It holds one secret in clear, the replication password: write it 0600. */
export function renderConfig(input: ConfigInput): string {
  const { spec, node } = input
  const owned = { ...ownedBy(node.id, ownedDirectives(spec, input)), ...heldInFile(spec) }
  const chapters: [title: string, lines: Line[]][] = [
    ['Where this node is', placeLines(input)],
    ['Who may connect', accessLines(input)],
    ['What Holdfast owns: changed by hand, it is set back', ownedLines(owned, input)],
    ['Defaults that the spec may override', defaultLines(spec)],
    ["The spec's own `config`", Object.entries(spec.config).map(([name, value]) => specLine(name, value))],
  ]
  const head = `# ${node.id} of ${spec.name}, rendered by Holdfast from its spec. Edit the spec: this file is overwritten.\n`
  return (
    head +
    chapters
      .filter(([, lines]) => lines.length > 0)
      .map(renderChapter)
      .join('')
  )
}

/**
 * The directives that Holdfast owns, with their values as `CONFIG GET` prints them and `CONFIG SET` takes them.
 * Equal on every version that is supported, except `shutdown-on-sigterm`, which needs to know the engine. Never a
 * secret. A directive that the spec's `config` names is the spec's, not ours.
 */
export function ownedDirectives(
  spec: Spec,
  terms: ConfigTerms & { engine?: EngineBuild } = {},
): Record<string, string> {
  const backlog = Math.max(64 * mb, Math.ceil(120 * (terms.writeBytesPerSecond ?? 0)))
  const owned: Record<string, string> = {
    ...(spec.topology === 'cluster' ? clusterDirectives(spec) : {}),
    'repl-diskless-sync': 'no',
    'repl-diskless-sync-delay': '0',
    'rdb-del-sync-files': 'yes',
    'repl-backlog-size': String(backlog),
    'client-output-buffer-limit': outputLimits(backlog),
    'min-replicas-to-write': isDurable(spec) ? '1' : '0',
    'min-replicas-max-lag': '2',
    'replica-serve-stale-data': word(spec.staleReads),
    masteruser: engineUsers.replication,
    maxmemory: String(spec.memory.maxPerNode),
    'maxmemory-policy': spec.memory.policy,
    'maxmemory-samples': String(spec.memory.samples),
    hz: '50',
    maxclients: String(Math.min(maxclientsWanted, (terms.openFilesMax ?? openFilesNeeded) - openFilesBeside)),
    ...persistenceDirectives(spec.persistence),
  }
  // A durable shard is handed over by nobody but Holdfast.
  const handsOver = !isDurable(spec) && terms.engine !== undefined && engineHas(terms.engine, sigtermFailover)
  if (handsOver) owned['shutdown-on-sigterm'] = 'failover'
  for (const directive of Object.keys(spec.config)) delete owned[directive]
  return owned
}

const clusterDirectives = (spec: Spec): Record<string, string> => ({
  'cluster-node-timeout': String(spec.timeouts.node),
  'cluster-allow-replica-migration': 'no',
  'cluster-require-full-coverage': word(spec.fullCoverage),
  'cluster-replica-no-failover': word(isDurable(spec) && !hasNativeFallback(spec)),
})

/** A line that holds a secret in clear. */
export const maskedDirective = /^(\s*(?:masterauth|primaryauth|requirepass|tls-(?:client-)?key-file-pass)\s+).+$/i

/** The text with every password and password hash replaced: for people, logs and bug reports. */
export function maskSecrets(text: string): string {
  return text
    .replace(new RegExp(maskedDirective, 'gim'), '$1****')
    .replace(/(\bAUTH \S+ )[\w-]+/g, '$1****')
    .replace(/(^|\s)([#>])\S{8,}/gm, '$1$2****')
}

const sigtermFailover = { redis: null, valkey: '9.0' }

const word = (yes: boolean): string => (yes ? 'yes' : 'no')

/**
 * The engine drops a replica whose buffer passes the limit, and a dropped replica starts over with a full sync, which
 * fills the buffer again. So the limit leaves room for what the backlog holds, twice. `slave` is the engine's word here.
 */
function outputLimits(backlog: number): string {
  return `normal 0 0 0 slave ${Math.max(256 * mb, 2 * backlog)} ${Math.max(64 * mb, backlog)} 60 pubsub 33554432 8388608 60`
}

function placeLines({ spec, node, engine, dir, identity, announced = null }: ConfigInput): Line[] {
  const paths = nodePaths(dir)
  const isCluster = spec.topology === 'cluster'
  return [
    ...(identity === undefined ? [] : [{ directive: 'port', values: ['0'], why: 'Nothing in clear.' }]),
    {
      directive: identity === undefined ? 'port' : 'tls-port',
      values: [String(node.port)],
      ...(isCluster ? { why: 'The cluster bus listens 10000 above it.' } : {}),
    },
    ...(identity === undefined ? [] : tlsLines(dir, identity, isCluster)),
    { directive: 'bind', values: [node.address] },
    ...(announced === null ? [] : announceLines(announced, node, engine, isCluster)),
    { directive: 'dir', values: [paths.data] },
    { directive: 'daemonize', values: ['no'], why: 'Its agent starts it detached and watches the process itself.' },
    { directive: 'logfile', values: [''], why: 'Standard output, which the agent keeps.' },
    ...(spec.topology === 'sentinel' ? [followsItself(node)] : []),
    { directive: 'cluster-enabled', values: [word(isCluster)] },
    ...(isCluster ? clusterLines : []),
    { directive: 'dbfilename', values: ['dump.rdb'], why: 'Named here, because the agent looks for these files.' },
    { directive: 'appendfilename', values: ['appendonly.aof'] },
    ...since(engine, { redis: '7.0', valkey: '7.2' }, { directive: 'appenddirname', values: ['appendonlydir'] }),
  ]
}

/** Where it is among several hosts: an engine left to itself guesses, and on a machine of two addresses it guesses wrong. */
function announceLines(
  { ip, hostname, port }: Announced,
  node: NodePlace,
  engine: EngineBuild,
  isCluster: boolean,
): Line[] {
  const source: Line = { directive: 'bind-source-addr', values: [node.address] }
  const ours = since(engine, { redis: '7.0', valkey: '7.2' }, source)
  if (!isCluster) return [...ours, { directive: 'replica-announce-ip', values: [ip] }]
  const byName = { directive: 'cluster-announce-hostname', values: [hostname ?? ''] }
  return [
    ...ours,
    { directive: 'cluster-announce-ip', values: [ip], why: 'What the other nodes and clients are told.' },
    ...(port === null ? [] : [{ directive: 'cluster-announce-tls-port', values: [String(port)] }]),
    ...(hostname === null
      ? []
      : since(engine, { redis: '7.0', valkey: '7.2' }, byName, {
          directive: 'cluster-preferred-endpoint-type',
          values: ['hostname'],
          why: 'Clients outside reach it by that name; the nodes keep to the address.',
        })),
  ]
}

/**
 * Certificate and key are one file, whose name changes with its contents: so a renewal is an edit of the config like
 * any other, which the engine takes while it runs.
 */
function tlsLines(dir: string, identity: string, isCluster: boolean): Line[] {
  const { authority, identities } = nodePaths(dir)
  const file = `${identities}/${identity}`
  return [
    { directive: 'tls-replication', values: ['yes'] },
    ...(isCluster ? [{ directive: 'tls-cluster', values: ['yes'] }] : []),
    {
      directive: 'tls-auth-clients',
      values: ['optional'],
      why: 'Clients sign in with a password. Whoever shows a certificate all the same shows one of this authority;\n# the cluster bus, which knows no password, always wants one.',
    },
    { directive: 'tls-ca-cert-file', values: [authority] },
    { directive: 'tls-cert-file', values: [file] },
    {
      directive: 'tls-key-file',
      values: [file],
      why: 'The same file, so that nobody finds a certificate without its key.',
    },
  ]
}

/**
 * Somebody else may start a dead primary again before its replica was promoted, with its file and without its data. In a
 * Cluster that is won back; here nothing would keep its replicas from copying the emptiness. So the file lets it follow
 * itself, which is no link at all: it takes no write, and no replica can sync with it, until the agent has ended it.
 */
const followsItself = ({ address, port }: NodePlace): Line => ({
  directive: 'replicaof',
  values: [address, String(port)],
  why: 'Itself: whoever starts it with this file alone gets an engine that takes no write and gives no copy, until\n# Holdfast has seen who is primary. Where there is no Holdfast any more: REPLICAOF NO ONE, on the fullest copy.',
})

/** The file without that line: for the one that shall be primary. */
export const withoutFollowing = (config: string): string => config.replace(/^replicaof .*\n/m, '')

const clusterLines: readonly Line[] = [
  { directive: 'cluster-config-file', values: ['nodes.conf'] },
  { directive: 'databases', values: ['1'], why: 'A Cluster has one, and Valkey 8 warns of each one more.' },
]

function accessLines({ secrets, dir }: ConfigInput): Line[] {
  const password = secrets[engineUsers.replication]
  return [
    { directive: 'protected-mode', values: ['yes'] },
    { directive: 'aclfile', values: [nodePaths(dir).users], why: 'All users, by the hashes of their passwords.' },
    ...(password === undefined
      ? []
      : [
          {
            directive: 'masterauth',
            values: [password],
            why: 'A replica signs in to its primary with this: every node has it, since each may become a replica.',
          },
        ]),
  ]
}

const reasons: Readonly<Record<string, string>> = {
  'cluster-node-timeout': "The engine's own failure detection, in ms: the net for the day the controller is away.",
  'cluster-allow-replica-migration': 'Which node copies which is decided in one place, and not by the engine too.',
  // Measured on 7.0: after a sync through the socket the replica says its link is up, and gets the next write only once
  // its primary has reaped the child and heard from it again, up to 1.1 s later. What was acknowledged in between died
  // with the primary. Through a file, the stream goes on where the file ends.
  'repl-diskless-sync': 'Through a file, so that a replica whose link is up does get every write from then on.',
  'rdb-del-sync-files': 'Without persistence that file goes again: nothing may come back from it.',
  'repl-diskless-sync-delay': 'No waiting for more replicas: a shard without a copy in sync is at risk.',
  'repl-backlog-size': 'At least two minutes of writes: a replica that was away so long needs no full sync.',
  'client-output-buffer-limit': 'Room for a full sync under writes, or a slow replica would start over for ever.',
  'min-replicas-to-write': 'A primary without its replica goes on; how far they are apart is watched.',
  save: 'Snapshots: after so many seconds with so many changes.',
  appendfsync: 'A power failure costs at most two seconds of writes.',
  'auto-aof-rewrite-percentage':
    'Written anew when it has doubled; a few percent apart, so that not all nodes do it at once.',
  'aof-rewrite-incremental-fsync': 'To disk in small parts, so that the end of a rewrite does not stall the disk.',
  maxmemory: 'Always set: without it the kernel decides when the engine dies.',
  hz: 'How often the engine looks at its clock: with this, an election can be made to begin within 20 ms.',
  maxclients: `Needs ${openFilesNeeded} open files.`,
  'shutdown-on-sigterm': 'Only the net: Holdfast hands over before it stops a primary.',
}

const heldReasons: Readonly<Record<string, string>> = {
  'repl-diskless-sync': 'Held: started by this file alone it gives its data to no copy. Holdfast starts it with "no".',
  'repl-diskless-sync-delay': 'As above: the snapshot never begins. Holdfast starts it with "0".',
  'min-replicas-to-write': 'As above: as a primary it takes no write. Holdfast starts it with "0".',
}

const durableReasons: Readonly<Record<string, string>> = {
  'cluster-replica-no-failover': 'Only Holdfast promotes, once it has read every copy.',
  'min-replicas-to-write':
    'A primary that no copy acknowledges refuses writes. Only a person lowers it: "holdfast degrade".',
}

function ownedLines(owned: Readonly<Record<string, string>>, { spec, engine }: ConfigInput): Line[] {
  const whys = { ...reasons, ...(isHeldInFile(spec) ? heldReasons : {}), ...(isDurable(spec) ? durableReasons : {}) }
  return Object.entries(owned).flatMap(([directive, value]): readonly Line[] => {
    const why = whys[directive]
    const reason = why === undefined ? {} : { why }
    if (directive === 'client-output-buffer-limit') {
      return eachGroup(value, 4).map((values, index) => ({ directive, values, ...(index === 0 ? reason : {}) }))
    }
    if (directive === 'save' && value !== '') return eachGroup(value, 2).map((values) => ({ directive, values }))
    if (directive === 'cluster-allow-replica-migration') {
      return since(engine, { redis: '6.2', valkey: '7.2' }, { directive, values: [value], ...reason })
    }
    return [{ directive, values: [value], ...reason }]
  })
}

function defaultLines(spec: Spec): Line[] {
  const lines: Line[] = [
    { directive: 'latency-monitor-threshold', values: ['100'], why: 'In ms: what took longer can be asked for.' },
  ]
  return lines.filter((line) => !(line.directive in spec.config))
}

/** Directives that take several words, which the engine must see as several. */
const severalWords = new Set([
  'client-output-buffer-limit',
  'oom-score-adj-values',
  'latency-tracking-info-percentiles',
  'bind-source-addr',
])

function specLine(directive: string, value: string | number | boolean): Line {
  const text = typeof value === 'boolean' ? word(value) : String(value)
  return { directive, values: severalWords.has(directive) ? text.trim().split(/\s+/) : [text] }
}

function since(
  engine: EngineBuild,
  first: Parameters<typeof engineHas>[1],
  ...lines: readonly Line[]
): readonly Line[] {
  return engineHas(engine, first) ? lines : []
}

function eachGroup(text: string, size: number): string[][] {
  const words = text.split(' ')
  return Array.from({ length: words.length / size }, (_, index) => words.slice(index * size, (index + 1) * size))
}

function renderChapter([title, lines]: [title: string, lines: Line[]]): string {
  const body = lines.map(({ directive, values, why }) => {
    const comment = why === undefined ? '' : `# ${why}\n`
    return `${comment}${directive} ${values.map(quoteWord).join(' ')}\n`
  })
  return `\n# ---- ${title}\n${body.join('')}`
}

/**
 * One word of a configuration file as the engine reads it back: bare if it is plain, else in double quotes. Every
 * control character is escaped, so no value can ever begin a line of its own.
 */
export function quoteWord(value: string): string {
  if (/^[A-Za-z0-9_./:@%+,=-]+$/.test(value)) return value
  const escaped = Array.from(value, (char) => {
    if (char === '"' || char === '\\') return `\\${char}`
    const code = char.charCodeAt(0)
    return code < 32 || code === 127 ? `\\x${code.toString(16).padStart(2, '0')}` : char
  })
  return `"${escaped.join('')}"`
}
