/**
 * The file that a Sentinel is started with for the first time. From then on it is the Sentinel's own: it writes down
 * there whom it watches, whom it knows, and in which epoch. So the file names no primary; whom to watch, and how, is told
 * to the running Sentinel (`plan/sentinels.ts`), and what it has learned is never overwritten.
 */
import { engineUsers } from './acl.ts'
import type { SentinelPlace } from './document.ts'
import { nodePaths, quoteWord } from './render-config.ts'
import type { Spec } from './spec.ts'

export interface SentinelConfigInput {
  readonly spec: Spec
  readonly place: SentinelPlace
  readonly secrets: Readonly<Record<string, string>>
  /** The Sentinel's own directory, absolute. */
  readonly dir: string
  /** The name of the file with its certificate and key. Absent: it speaks in clear. */
  readonly identity?: string | undefined
}

export function renderSentinel({ spec, place, secrets, dir, identity }: SentinelConfigInput): string {
  const { users, data } = nodePaths(dir)
  const port = String(place.port)
  const lines: (readonly string[])[] = [
    ...(identity === undefined ? [['port', port]] : tlsLines(port, dir, identity)),
    ['bind', place.address],
    // By the connection alone it would guess one of the addresses that its machine has.
    ...(spec.hosts.length === 0 ? [] : [['sentinel', 'announce-ip', place.address]]),
    ['dir', data],
    ['daemonize', 'no'],
    ['logfile', ''],
    ['aclfile', users],
    ['sentinel', 'sentinel-user', engineUsers.sentinel],
    ['sentinel', 'sentinel-pass', secrets[engineUsers.sentinel] ?? ''],
  ]
  const head = `# ${place.id} of ${spec.name}: made once by Holdfast, kept by the Sentinel itself since.`
  return `${head}\n${lines.map((words) => words.map(quoteWord).join(' ')).join('\n')}\n`
}

/** By `tls-replication` it reaches engines and other Sentinels. It reads its certificate only when it is started. */
function tlsLines(port: string, dir: string, identity: string): string[][] {
  const { authority, identities } = nodePaths(dir)
  const file = `${identities}/${identity}`
  return [
    ['port', '0'],
    ['tls-port', port],
    ['tls-replication', 'yes'],
    ['tls-auth-clients', 'optional'],
    ['tls-ca-cert-file', authority],
    ['tls-cert-file', file],
    ['tls-key-file', file],
  ]
}

/** A Sentinel's own file with the certificate that it shall show from its next start on. */
export function withIdentity(own: string, rendered: string): string {
  const lineOf = (directive: string): string | undefined =>
    rendered.split('\n').find((line) => line.startsWith(`${directive} `))
  return ['tls-cert-file', 'tls-key-file'].reduce((text, directive) => {
    const line = lineOf(directive)
    return line === undefined ? text : text.replace(new RegExp(`^${directive} .*$`, 'm'), () => line)
  }, own)
}

/** What of its settings Holdfast owns, as `SENTINEL SET` takes them. */
export function sentinelSettings(spec: Spec): Readonly<Record<string, string>> {
  const { downAfter, failoverTimeout, parallelSyncs } = spec.sentinel
  return {
    quorum: String(quorumOf(spec)),
    'down-after-milliseconds': String(downAfter),
    'failover-timeout': String(failoverTimeout),
    'parallel-syncs': String(parallelSyncs),
  }
}

export function quorumOf({ sentinel }: Spec): number {
  return sentinel.quorum === 'majority' ? Math.floor(sentinel.count / 2) + 1 : sentinel.quorum
}
