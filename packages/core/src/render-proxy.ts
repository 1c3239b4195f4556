/**
 * The file of HAProxy. What must never happen is a write that goes to an engine which only thinks that it is the
 * primary, because it has just come back. So a server of `primary` is up while two things hold:
 *
 * 1. `votes` says yes: its controller has told of it within the last seconds, or has told of nobody, and more than half
 *    of the Sentinels name it. Each Sentinel's word is a server of a backend `named_NODE`.
 * 2. The engine says that it is a primary.
 *
 * The vote is asked first: a frozen engine owes its answer for seconds, and its connections end as soon as the Sentinels
 * name another. All that the checks do needs no controller. They sign in as the user that may only read.
 */
import { engineUsers } from './acl.ts'
import type { Document, NodePlace, ProxyPlace, SentinelPlace } from './document.ts'
import { addressOf } from './picture.ts'
import { quoteWord } from './render-config.ts'
import type { Spec } from './spec.ts'

export interface ProxyConfigInput {
  readonly spec: Spec
  readonly document: Pick<Document, 'nodes' | 'sentinels' | 'secrets'>
  readonly place: ProxyPlace
  /** Where engines speak TLS. It passes on what clients say as it is; only its own checks speak TLS. */
  readonly authority?: Authority | undefined
}

/** Whom its checks believe: the file, and a digest of it, so that another one is another config. */
interface Authority {
  readonly file: string
  readonly digest: string
}

/** How its checks speak to engines and Sentinels. */
interface Manner {
  readonly connect: string
  /** What follows a server's address. */
  readonly check: string
}

/** How long a controller's word counts: long enough for the Sentinels to tell the same. */
const toldForMs = 5000

export function renderProxy({ spec, document, place, authority }: ProxyConfigInput): string {
  const { sentinels = [], secrets } = document
  const nodes = servedBy(document)
  const isWatched = sentinels.length > 0
  const signIn = `AUTH ${engineUsers.probe} ${secrets[engineUsers.probe] ?? ''}\\r\\n`
  const replicaPort = place.replicaPort
  const manner = mannerOf(authority)
  return [
    `# The proxy of ${spec.name}: made by Holdfast, and made again when it is changed by hand.`,
    ...(authority === undefined ? [] : [`# Its checks believe the authority ${authority.digest}.`]),
    ...head(spec),
    ...primarySection(place, nodes, { signIn, manner, isWatched }),
    ...(replicaPort === null ? [] : replicaSection({ ...place, replicaPort }, nodes, { signIn, manner, spec })),
    ...(isWatched
      ? [
          ...votes(nodes, sentinels.length),
          ...nodes.flatMap((node) => named(node, sentinels, { signIn, manner, spec })),
        ]
      : []),
    '',
  ].join('\n')
}

/**
 * The nodes that it may lead to. One that is chained is none of them: its link is up also where that of its upstream is
 * not, so nothing that a check can ask tells how old its answers are.
 */
export const servedBy = ({ nodes }: Pick<Document, 'nodes'>): readonly NodePlace[] =>
  nodes.filter(({ chained }) => chained !== true)

function head(spec: Spec): string[] {
  // Three checks without an answer mark a server down. By then the Sentinels have named another, where there is one.
  const checkMs = Math.max(2000, Math.ceil(spec.sentinel.downAfter / 2))
  return [
    'global',
    '  stats socket unix@admin.sock mode 600 level admin',
    '  # After another file was read: how long the connections of before may last.',
    '  hard-stop-after 10m',
    'defaults',
    '  mode tcp',
    '  timeout connect 2s',
    '  # Whoever comes in the moment before an engine is known to be gone tries again, rather than to wait for it.',
    '  retries 0',
    '  # An idle connection of a pool is none that is over.',
    '  timeout client 24d',
    '  timeout server 24d',
    `  timeout check ${checkMs}ms`,
    '  option clitcpka',
    '  option srvtcpka',
  ]
}

const mannerOf = (authority: Authority | undefined): Manner =>
  authority === undefined
    ? { connect: 'tcp-check connect', check: 'check' }
    : {
        connect: 'tcp-check connect ssl',
        check: `check check-ssl verify required ca-file ${quoteWord(authority.file)}`,
      }

interface Asking {
  readonly signIn: string
  readonly manner: Manner
}

function primarySection(
  place: ProxyPlace,
  nodes: readonly NodePlace[],
  { signIn, manner, isWatched }: Asking & { readonly isWatched: boolean },
): string[] {
  const vote = [
    '  tcp-check connect addr unix@votes.sock',
    '  tcp-check send-lf "GET /%[srv_name] HTTP/1.0\\r\\n\\r\\n"',
    '  tcp-check expect min-recv 12 string " 200 "',
  ]
  return [
    'listen primary',
    `  bind ${addressOf(place)}`,
    '  option tcp-check',
    '  default-server inter 250ms fastinter 50ms downinter 100ms rise 1 fall 3 on-marked-down shutdown-sessions',
    ...(isWatched ? vote : []),
    `  ${manner.connect}`,
    `  tcp-check send "${signIn}ROLE\\r\\n"`,
    '  # One that is busy with a script lives, and is what it was.',
    '  tcp-check expect min-recv 21 rstring "\\nmaster\\r|\\n-BUSY "',
    ...nodes.map((node) => `  server ${node.id} ${addressOf(node)} ${manner.check}`),
  ]
}

/** Those whose link is up, in turn. */
function replicaSection(
  { address, replicaPort }: ProxyPlace & { readonly replicaPort: number },
  nodes: readonly NodePlace[],
  { signIn, manner, spec: { expose } }: Asking & { readonly spec: Spec },
): string[] {
  const lastResort = expose.proxy !== false && expose.proxy.lastResort
  return [
    'listen replicas',
    `  bind ${addressOf({ address, port: replicaPort })}`,
    '  balance roundrobin',
    '  option tcp-check',
    '  default-server inter 500ms fastinter 100ms downinter 250ms rise 1 fall 3 on-marked-down shutdown-sessions',
    `  ${manner.connect}`,
    `  tcp-check send "${signIn}ROLE\\r\\n"`,
    '  tcp-check expect min-recv 40 rstring "\\nslave[^+]*\\nconnected\\r"',
    ...nodes.map((node) => `  server ${node.id} ${addressOf(node)} ${manner.check}`),
    ...(lastResort
      ? nodes.map((node) => `  server ${node.id}-as-primary ${addressOf(node)} track primary/${node.id} backup`)
      : []),
  ]
}

/** Whether a node is the primary by its controller's word, else by that of the Sentinels. */
function votes(nodes: readonly NodePlace[], sentinels: number): string[] {
  const majority = Math.floor(sentinels / 2) + 1
  return [
    'backend told',
    `  stick-table type string len 8 size 10 expire ${toldForMs}ms store gpt0`,
    'frontend votes',
    '  mode http',
    '  bind unix@votes.sock mode 600',
    '  http-request set-var(txn.told) str(primary),table_gpt0(told)',
    ...nodes.flatMap(({ id }, index) => [
      `  http-request return status 200 if { path /${id} } { var(txn.told) -m int ${index + 1} }`,
      `  http-request return status 200 if { path /${id} } { var(txn.told) -m int 0 } { nbsrv(named_${id}) ge ${majority} }`,
    ]),
    '  http-request return status 503',
  ]
}

/** Which Sentinels name a node. */
function named(
  node: NodePlace,
  sentinels: readonly SentinelPlace[],
  { signIn, manner, spec: { name } }: Asking & { readonly spec: Spec },
): string[] {
  const port = String(node.port)
  const answer = `$${node.address.length}\\r\\n${node.address}\\r\\n$${port.length}\\r\\n${port}\\r\\n`
  return [
    `backend named_${node.id}`,
    '  option tcp-check',
    '  default-server inter 500ms rise 1 fall 2',
    `  ${manner.connect}`,
    `  tcp-check send "${signIn}SENTINEL get-master-addr-by-name ${name}\\r\\n"`,
    `  tcp-check expect min-recv 20 string "${answer.replaceAll('$', '\\$')}"`,
    ...sentinels.map((sentinel) => `  server ${sentinel.id} ${addressOf(sentinel)} ${manner.check}`),
  ]
}
