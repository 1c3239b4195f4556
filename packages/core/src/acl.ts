/**
 * The engine's users. Each has the least that its work needs, and a generated password that the file holds only as a
 * SHA-256 hash. The `default` user is off: who does not say who he is gets nothing.
 */

import { isKeyName } from './certificates.ts'
import type { EngineBuild, Since } from './engine-version.ts'
import { engineHas } from './engine-version.ts'
import type { Secrets } from './passwords.ts'
import { validPasswords } from './passwords.ts'
import type { Spec } from './spec.ts'

export const engineUsers = {
  /** The application's. */
  app: 'app',
  /** A replica signs in to its primary as this. */
  replication: 'replication',
  /** The controller reads as this, and can do nothing else. */
  probe: 'probe',
  /** The agent changes the engine as this; it never leaves the machine. */
  admin: 'admin',
  /** The Sentinels sign in as this: to the engines that they watch, and to each other. */
  sentinel: 'sentinel',
} as const

export type EngineUser = (typeof engineUsers)[keyof typeof engineUsers]

/** A password for each user. `random` gives at least 128 bits of chance, in letters that need no quoting anywhere. */
export function newSecrets(random: () => string): Record<EngineUser, string> {
  return { app: random(), replication: random(), probe: random(), admin: random(), sentinel: random() }
}

const ownUsers = ({ topology }: Spec): EngineUser[] =>
  Object.values(engineUsers).filter((user) => user !== 'sentinel' || topology === 'sentinel')

/** The users of a deployment's engines whose passwords are made here, by name. */
export const usersOf = (spec: Spec): string[] => [
  ...ownUsers(spec),
  ...spec.security.users.filter(({ passwordHash }) => passwordHash === null).map(({ name }) => name),
]

/** The passwords with one for each user of the spec that needs one, and without those of users that are no more. */
export function secretsFor(spec: Spec, before: Secrets, random: () => string): Secrets {
  const kept = new Set([...Object.values(engineUsers), ...usersOf(spec)])
  const own = Object.entries(before).filter(([key]) => isKeyName(key) || kept.has(key.split('.')[0] ?? ''))
  const fresh = usersOf(spec).filter((user) => before[user] === undefined)
  return { ...Object.fromEntries(own), ...Object.fromEntries(fresh.map((user) => [user, random()])) }
}

export interface UsersInput {
  readonly spec: Spec
  readonly secrets: Readonly<Record<string, string>>
  readonly engine: EngineBuild
  /**
   * For a chained replica, which is none of the Sentinels' business: one that they have met, because its upstream became
   * the primary, they would let follow the primary for good, ten seconds after each word of ours. So they cannot sign in.
   */
  readonly chained?: boolean
  /** SHA-256 in lower-case hex. */
  readonly sha256: (text: string) => string
}

/** The text of the ACL file. */
export function renderUsers(input: UsersInput): string {
  const { spec, engine } = input
  const hashOf = hasher(input)
  const appRights = rightsOf('app', engine)
  // Off and without a password, so nobody can be it; but with every right: up to Redis 8.4 and Valkey 9.1 the engine
  // replays the transactions of its append-only file as this user, and drops, with a line in its log, what this user
  // may not do (valkey-io/valkey#3983, redis/redis#14541). A default user without rights costs every transaction.
  const nobody = 'user default off resetpass ~* &* +@all'
  return [
    spec.security.legacyAuth ? `user default on resetpass ${hashOf('app')} ${appRights}` : nobody,
    ...ownUsers(spec)
      .filter((user) => user !== 'sentinel' || input.chained !== true)
      .map((user) => `user ${user} on ${hashOf(user)} ${rightsOf(user, engine)}`),
    ...spec.security.users.map((user) => {
      const hash = user.passwordHash === null ? hashOf(user.name) : `#${user.passwordHash}`
      return `user ${user.name} on ${hash} ${rightsGivenTo(user, engine)}`
    }),
    '',
  ].join('\n')
}

/**
 * The users of a Sentinel. Who looks for the primary signs in as the application; `default` is off, so nobody learns
 * anything, and nobody can tell a Sentinel to fail over, without a password.
 */
export function renderSentinelUsers(input: UsersInput): string {
  const hashOf = hasher(input)
  const ask =
    '+sentinel|get-master-addr-by-name +sentinel|master +sentinel|masters +sentinel|replicas +sentinel|slaves +sentinel|sentinels'
  const common = `-@all +auth +hello +ping +info +role +client|setname +client|id${introductionTo(input.engine)}`
  const listen = '+subscribe +psubscribe +unsubscribe +punsubscribe'
  const rights: [user: EngineUser, rights: string][] = [
    ['app', `resetkeys &* ${common} ${listen} ${ask}`],
    ['probe', `resetkeys &* ${common} ${listen} ${ask} +sentinel|myid +sentinel|ckquorum`],
    [
      'sentinel',
      'resetkeys resetchannels &__sentinel__:hello -@all +auth +ping +publish +client|setname +sentinel|is-master-down-by-addr',
    ],
    ['admin', '~* &* +@all'],
  ]
  return [
    'user default off resetpass ~* &* +@all',
    ...rights.map(([user, words]) => `user ${user} on ${hashOf(user)} ${words}`),
    ...input.spec.security.users.map(({ name, passwordHash }) => {
      const hash = passwordHash === null ? hashOf(name) : `#${passwordHash}`
      return `user ${name} on ${hash} resetkeys &* ${common} ${listen} ${ask}`
    }),
    '',
  ].join('\n')
}

const hasher =
  ({ secrets, sha256 }: UsersInput) =>
  (user: string): string => {
    const passwords = validPasswords(secrets, user)
    // A user without a password would be a door that nobody can use, or worse, one that everybody can.
    if (passwords.length === 0) throw new Error(`no password for the engine user "${user}"`)
    // In an order that says nothing: which of them is used changes, and the file need not.
    return passwords
      .map((password) => `#${sha256(password)}`)
      .sort()
      .join(' ')
  }

/** The users of an ACL file: the rules of each by its name. */
export function readUsers(text: string): ReadonlyMap<string, readonly string[]> {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/))
  return new Map(lines.flatMap(([word, name, ...rules]) => (word === 'user' && name ? [[name, rules] as const] : [])))
}

/** The hashes of a user's passwords among its rules. */
export const hashesAmong = (rules: readonly string[]): string[] =>
  rules.flatMap((rule) => (rule.startsWith('#') ? [rule.slice(1)] : [])).sort()

/** What a user may do, in the words of the ACL file of this engine. */
export function rightsOf(user: EngineUser, engine: EngineBuild): string {
  switch (user) {
    case 'app':
      return `~* &* ${appCommands(engine)}`
    case 'replication':
      return engineHas(engine, atomicMoves)
        ? `~* resetchannels -@all +@write -@dangerous ${copying} +sync +select +multi +exec +cluster|syncslots`
        : `resetkeys resetchannels -@all ${copying}`
    case 'probe':
      return `resetkeys resetchannels -@all ${probeCommands(engine)}`
    case 'admin':
      return '~* &* +@all'
    case 'sentinel':
      return `resetkeys resetchannels &__sentinel__:hello -@all ${sentinelCommands(engine)}`
    default:
      return user satisfies never
  }
}

/**
 * What a user of the spec may do. Categories come before what nobody but the agent may, and single commands after it, so
 * `+@all` gives nothing away and `+keys` gives KEYS.
 */
function rightsGivenTo({ keys, channels, commands }: Spec['security']['users'][number], engine: EngineBuild): string {
  const where = ['resetkeys', ...keys.map((one) => `~${one}`), 'resetchannels', ...channels.map((one) => `&${one}`)]
  if (commands === null) return `${where.join(' ')} ${appCommands(engine)}`
  const categories = commands.filter((word) => word.includes('@'))
  const single = commands.filter((word) => !word.includes('@'))
  const needed = `+ping +info +role ${clusterQuestions(engine)} ${greetings(engine)}`
  return [...where, '-@all', ...categories, '-@admin -@dangerous', needed, ...single].join(' ')
}

const copying = '+psync +replconf +ping'

/**
 * From then on slots move over links like a replica's: the source signs in to the target as a replica would, and writes there
 * what the slots have.
 */
const atomicMoves = { redis: null, valkey: '9.0' }

const greetings = (engine: EngineBuild): string =>
  `+hello +auth +select +client|setname +client|id +client|getname${introductionTo(engine)}`

/** What every client of a Cluster asks. */
const clusterQuestions = (engine: EngineBuild): string =>
  [
    '+cluster|slots',
    engineHas(engine, commandsOf7) ? '+cluster|shards' : '',
    '+cluster|nodes +cluster|myid +cluster|info +cluster|keyslot',
  ]
    .filter((words) => words !== '')
    .join(' ')

const commandsOf7 = { redis: '7.0', valkey: '7.2' }

/**
 * Everything but what can harm the deployment. `-@dangerous` takes INFO, ROLE and SORT along, and `-@admin` the
 * questions that every cluster client asks, so those are given back one by one.
 */
function appCommands(engine: EngineBuild): string {
  const modern = engineHas(engine, commandsOf7)
  return [
    '+@all -@admin -@dangerous +info +role +sort',
    modern ? '+sort_ro' : '',
    `${clusterQuestions(engine)} +client|tracking`,
    modern ? '' : clientCommandsOf6,
  ]
    .filter((words) => words !== '')
    .join(' ')
}

/** Up to Redis 6.2 all of CLIENT is one admin command; later versions judge these harmless, as they are. */
const clientCommandsOf6 =
  '+client|id +client|info +client|getname +client|setname +client|getredir +client|trackinginfo +client|caching +client|reply'

/**
 * What a Sentinel says to the engines that it watches, and no more. `config|rewrite` belongs to the transaction in which
 * it gives a node another primary: one refused command would refuse the whole of it.
 */
function sentinelCommands(engine: EngineBuild): string {
  const common =
    '+auth +hello +ping +info +publish +subscribe +client|setname +client|kill +multi +exec +slaveof +config|rewrite +script|kill'
  if (engine.flavor === 'redis') return common
  return engineHas(engine, { redis: null, valkey: '9.1' }) ? `${common} +replicaof +failover` : `${common} +replicaof`
}

/**
 * Reading only, and no values. Never CONFIG GET: it tells `masterauth` in clear. AUTH, HELLO and QUIT need no
 * permission, but a list of what it does is easier to read with them.
 */
function probeCommands(engine: EngineBuild): string {
  const slotStats = engineHas(engine, slotStatsSince) ? ' +cluster|slot-stats' : ''
  return `+auth +hello +ping +info +role +client|setname +client|id${introductionTo(engine)} +cluster|nodes +cluster|info +cluster|myid +cluster|slots +cluster|countkeysinslot${slotStats}`
}

/** Which engines tell what each slot has, and what work it made, in one answer. */
export const slotStatsSince: Since = { redis: '8.2', valkey: '8.0' }

/** Before 7.2 the engine does not know CLIENT SETINFO, and refuses a file that names it. */
const introductionTo = (engine: EngineBuild): string =>
  engineHas(engine, { redis: '7.2', valkey: '7.2' }) ? ' +client|setinfo' : ''
