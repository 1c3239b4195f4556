/**
 * What an edit of a spec means for a deployment that runs: each field that differs is changed live, waits for a restart,
 * or is refused, with the reason and the way to do it all the same. One refused field refuses the edit: nothing is half
 * applied.
 */
import type { ErrorCode } from './error.ts'
import { HoldfastError } from './error.ts'
import { ownedDirectives } from './render-config.ts'
import type { Spec } from './spec.ts'
import { copiesOfShard, nodeCountOf, usesTls } from './spec.ts'
import { formatBytes, formatDuration } from './units.ts'

export interface SpecChange {
  /** `memory.maxPerNode` */
  readonly path: string
  /** As people read it. */
  readonly from: string
  readonly to: string
  readonly how: 'live' | 'restart' | 'refused'
  readonly because: string
  /** Where it is refused: what to do instead. */
  readonly instead?: string
}

/** What the nodes use now, and what the person who edits has accepted. */
export interface EditTerms {
  readonly used: readonly { readonly id: string; readonly memoryBytes: number | null }[]
  /** How many shards there are, whatever its spec says. */
  readonly shards?: number
  /** A cache may throw away what does not fit any more. */
  readonly acceptEviction: boolean
}

export function judgeSpecChange(before: Spec, after: Spec, terms: EditTerms): SpecChange[] {
  const [old, wanted] = [leavesOf(before), leavesOf(after)]
  const paths = [...new Set([...old.keys(), ...wanted.keys()])].sort()
  return paths
    .filter((path) => JSON.stringify(old.get(path)) !== JSON.stringify(wanted.get(path)))
    .map((path) => ({
      path,
      from: inWords(path, old.get(path)),
      to: inWords(path, wanted.get(path)),
      ...judge(path, before, after, terms),
    }))
}

/** `memory.maxPerNode: 64 MB → 96 MB, live` */
export const describeSpecChange = ({ path, from, to, how, because }: SpecChange): string =>
  `${path}: ${from} → ${to}, ${how === 'restart' ? `with a rolling restart (${because})` : how === 'live' ? `live${because === '' ? '' : ` (${because})`}` : `refused (${because})`}`

/** Throws what is refused, all of it in one error. */
export function refuseChanges(name: string, changes: readonly SpecChange[]): void {
  const refused = changes.filter(({ how }) => how === 'refused')
  if (refused.length === 0) return
  const code: ErrorCode = refused.some(({ path }) => isForLife(path)) ? 'SPEC_IMMUTABLE' : 'REFUSED_UNSAFE'
  const lines = refused.map(
    ({ path, from, to, because, instead }) =>
      `${path} of ${name} cannot be changed from ${from} to ${to}: ${because}. ${instead ?? 'Put it back.'}`,
  )
  throw new HoldfastError(code, lines.join('\n'), { name, fields: refused.map(({ path }) => path), changes: refused })
}

type Verdict = Pick<SpecChange, 'how' | 'because' | 'instead'>

const live = (because = ''): Verdict => ({ how: 'live', because })
const refused = (because: string, instead: string): Verdict => ({ how: 'refused', because, instead })

function judge(path: string, before: Spec, after: Spec, terms: EditTerms): Verdict {
  const [field = ''] = path.split('.')
  switch (field) {
    case 'topology':
      return refused(
        'engines of one topology cannot become another while they have data',
        `Create a deployment with topology ${after.topology} under another name, move the data with a backup or by writing to both, then take ${before.name} down.`,
      )
    case 'shards':
      if (after.shards === terms.shards) return live('as many as there are since it was scaled')
      return refused(
        'it is how many shards there were at its creation, and applying a file must not undo what was scaled since',
        `Put it back, and use "holdfast scale ${before.name} --shards ${after.shards}".`,
      )
    case 'replicasPerShard':
    case 'shardOverrides':
      return judgeCopies(before, after)
    case 'chained':
      return live(
        after.chained > before.chained
          ? `${nodes(after.chained - before.chained)} more, each a copy of a replica`
          : `${nodes(before.chained - after.chained)} fewer, and nobody follows them`,
      )
    case 'spares':
      return live('each stands by as soon as it runs')
    case 'expose':
      if (path.startsWith('expose.proxy')) return live('connections that it has are kept')
      return refused(
        'clients and engines know the nodes by these addresses',
        'Create another deployment there and move the clients.',
      )
    case 'hosts':
      return judgeHosts(before, after)
    case 'security':
      return usesTls(before) === usesTls(after) ? live() : refusedTls(after)
    case 'engine':
      return refused(
        'another engine is a rolling upgrade, replicas first and one shard at a time',
        `Use "holdfast upgrade ${before.name}", which writes this field itself.`,
      )
    case 'durability':
      return live(
        after.durability === 'cache'
          ? 'from then on a fault may cost writes that were acknowledged'
          : 'no acknowledged write is lost from then on; what was written before is as it was',
      )
    case 'persistence':
      return live('one node after the other, and never without a file to start from')
    case 'persistOn':
      return live('whoever writes goes on until another copy has its files')
    case 'memory':
      return path === 'memory.maxPerNode' ? judgeMemory(before, after, terms) : live()
    case 'config':
      return judgeDirective(path.slice('config.'.length), after)
    default:
      return live()
  }
}

/** The engines of a Cluster meet on one port, and it is one or the other. */
const refusedTls = (after: Spec): Verdict =>
  refused(
    usesTls(after)
      ? 'engines and clients of a running deployment speak in clear, and cannot all begin to encrypt in one moment'
      : 'engines and clients of a running deployment speak TLS, and cannot all leave it in one moment',
    `Create a deployment with security.tls ${usesTls(after) ? 'on' : 'off'} under another name, move the data with a backup or by writing to both, then take ${after.name} down.`,
  )

const isForLife = (path: string): boolean => !path.startsWith('memory.') && !path.startsWith('replicas')

function judgeCopies(before: Spec, after: Spec): Verdict {
  const needed = after.durability === 'cache' ? 0 : 2
  const shards = Array.from({ length: Math.min(before.shards, after.shards) }, (_, index) => index + 1)
  const short = shards.find((shard) => copiesOfShard(after, shard) - 1 < needed)
  if (short !== undefined) {
    return refused(
      `durability durable needs ${needed} replicas, and shard-${short} would have ${copiesOfShard(after, short) - 1}`,
      `Keep ${needed} replicas, or choose durability: cache first and accept what a fault may then cost.`,
    )
  }
  const more = nodeCountOf(after) - nodeCountOf(before)
  if (more > 0) return live(`${nodes(more)} more, each with a copy of its shard's data`)
  return more === 0 ? live() : live(`${nodes(-more)} fewer, one after the other and while all others are in sync`)
}

/** A host may come, be at another address, and go: what it carries is made anew on the others first. */
function judgeHosts(before: Spec, after: Spec): Verdict {
  if (before.hosts.length === 0 || after.hosts.length === 0) {
    return refused(
      'its engines and their data are where they are',
      `Create another deployment on ${after.hosts.length === 0 ? 'this machine' : 'these hosts'} and move the clients.`,
    )
  }
  const now = new Map(after.hosts.map((host) => [host.name, host]))
  const moved = before.hosts
    .filter(({ name, address }) => (now.get(name)?.address ?? address) !== address)
    .map(({ name }) => name)
  const gone = takenOff(before, after)
  const leaves =
    gone.length === 0 ? '' : `what is on ${gone.join(', ')} moves to the others, and hands over first what it leads`
  if (moved.length === 0) return live(leaves === '' ? 'a host that comes takes what is placed from now on' : leaves)
  if (after.topology === 'cluster') {
    const moves = `the engines on ${moved.join(', ')} are started anew there, one after the other`
    return live(leaves === '' ? moves : `${moves}; ${leaves}`)
  }
  return refused(
    `engines on ${moved.join(', ')} are told apart by their addresses alone`,
    'Put it back, and add the machine as another host: "holdfast replace" moves its nodes there.',
  )
}

/** The names of the hosts that an edit takes off. */
export const takenOff = (before: Spec, after: Spec): string[] =>
  after.hosts.length === 0
    ? []
    : before.hosts.map(({ name }) => name).filter((name) => !after.hosts.some((host) => host.name === name))

const nodes = (count: number): string => `${count} ${count === 1 ? 'node' : 'nodes'}`

/** What is used must fit. A node nobody saw may be full. */
function judgeMemory(before: Spec, after: Spec, { used, acceptEviction }: EditTerms): Verdict {
  const limit = after.memory.maxPerNode
  if (limit >= before.memory.maxPerNode) return live()
  const unseen = used.filter(({ memoryBytes }) => memoryBytes === null)
  if (unseen.length > 0 || used.length === 0) {
    const who = unseen.map(({ id }) => id).join(', ') || 'any node'
    return refused(
      `it is not known how much ${who} uses`,
      `Bring all nodes up first: "holdfast status ${before.name}".`,
    )
  }
  const over = used.filter(({ memoryBytes }) => (memoryBytes ?? 0) > limit)
  if (over.length === 0) return live('what is used fits')
  const most = Math.max(...over.map(({ memoryBytes }) => memoryBytes ?? 0))
  const excess = over.reduce((sum, { memoryBytes }) => sum + (memoryBytes ?? 0) - limit, 0)
  const who = over.map(({ id, memoryBytes }) => `${id} uses ${formatBytes(memoryBytes ?? 0)}`).join(', ')
  const { policy } = after.memory
  const larger = `Choose at least ${formatBytes(most)} (${most} bytes), or delete keys first.`
  if (!policy.startsWith('allkeys-')) {
    return refused(`${who}; with ${policy} writes would be refused until there is room`, larger)
  }
  if (acceptEviction) return live(`${who}: about ${formatBytes(excess)} of keys are evicted at once`)
  return refused(
    `${who}; with ${policy} about ${formatBytes(excess)} of keys would be evicted at once`,
    `${larger} To evict them: "holdfast apply FILE --accept-eviction".`,
  )
}

function judgeDirective(name: string, after: Spec): Verdict {
  if (after.config[name] === undefined) {
    const ours = ownedDirectives(after)[name] !== undefined || defaultsOfOurs.has(name)
    if (ours) return live('back to what Holdfast sets')
    return { how: 'restart', because: 'only a start gives a directive its default back' }
  }
  return fixedDirectives.has(name)
    ? { how: 'restart', because: 'the engine reads it only when it starts' }
    : live('unless this engine refuses; then the status says what waits for a restart')
}

/** Rendered where the spec says nothing. */
const defaultsOfOurs: ReadonlySet<string> = new Set(['latency-monitor-threshold'])

/**
 * Directives that an engine refuses to change while it runs, as Redis 7.0 and Valkey do. A test asks the engine for each.
 * What counts in the end is the engine's own word when it is told.
 */
export const fixedDirectives: ReadonlySet<string> = new Set([
  'always-show-logo',
  'aof_rewrite_cpulist',
  'aof-rewrite-cpulist',
  'bgsave_cpulist',
  'bgsave-cpulist',
  'bio_cpulist',
  'bio-cpulist',
  'databases',
  'disable-thp',
  'io-threads',
  'io-threads-do-reads',
  'rdbchecksum',
  'server_cpulist',
  'server-cpulist',
  'set-proc-title',
  'socket-mark-id',
  'syslog-enabled',
  'syslog-facility',
  'syslog-ident',
  'tcp-backlog',
  'unixsocketperm',
])

/** Every value by its path; lists, and the directives of the spec, are values. */
function leavesOf(spec: Spec): Map<string, unknown> {
  const leaves = new Map<string, unknown>()
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return void leaves.set(path, value)
    for (const [key, inner] of Object.entries(value)) walk(inner, path === '' ? key : `${path}.${key}`)
  }
  walk(spec, '')
  return leaves
}

const sizes = /^(memory\.maxPerNode|failover\.maxLag\.bytes)$/
const durations =
  /^(timeouts\.\w+|failover\.maxLag\.time|failover\.lossAfter|placement\.remakeAfter|sentinel\.(downAfter|failoverTimeout)|backup\.every)$/

/** By name: what else there is of a user may be the hash of a password. */
const namesOf = (users: Spec['security']['users']): string =>
  users.length === 0 ? '(none)' : users.map(({ name }) => name).join(', ')

function inWords(path: string, value: unknown): string {
  if (value === undefined || value === null || value === '') return '(none)'
  if (path === 'security.users' && Array.isArray(value)) return namesOf(value as Spec['security']['users'])
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'number' && sizes.test(path)) return formatBytes(value)
  if (typeof value === 'number' && durations.test(path)) return formatDuration(value)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
