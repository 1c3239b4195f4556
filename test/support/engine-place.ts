/** Where the processes of one test deployment live: their folder, their files, and what all of them are told. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Address } from '../../packages/cache/src/engine/topology.ts'
import type { EngineNode, NodeTerms } from './engine-node.ts'
import { makeCertificate, startNode } from './engine-node.ts'
import { findTestEngine } from './engines.ts'
import { freshFolder } from './living.ts'

export interface EngineOptions {
  /** Directives of the engine, such as `{ maxmemory: '20mb', appendonly: 'yes' }`. Default: nothing is kept on disk. */
  readonly settings?: Readonly<Record<string, string>>
  readonly password?: string
  /** Lines of an ACL file, such as `user app on >secret ~shop:* +@all`. The default user stays as it is unless named. */
  readonly users?: readonly string[]
  /** Only TLS is spoken, with a certificate made for this engine. */
  readonly tls?: boolean
}

export interface StartedEngine {
  /** What a client is given: the node, the Cluster's primaries and replicas, or the Sentinels. */
  readonly addresses: readonly Address[]
  /** The nodes that hold data. */
  readonly nodes: readonly EngineNode[]
  /** The certificate to trust, where TLS is spoken. */
  readonly ca: string | undefined
  /** Kills every process and removes every file. Never throws, may be called twice. */
  readonly close: () => Promise<void>
}

export interface Place {
  readonly folder: string
  /** Of a user who may do everything. */
  readonly credentials: NodeTerms['credentials']
  /** A file in the folder of the node on this port. */
  write(port: number, file: string, lines: readonly string[]): void
  startNode(port: number, settings?: Settings): Promise<EngineNode>
  /** With the `sentinel.conf` that was written for it. */
  startSentinel(port: number, credentials: NodeTerms['credentials']): Promise<EngineNode>
}

type Settings = Readonly<Record<string, string>>

/** With a list of users, replication and the tests' own commands need one that may do everything. */
const operator = { username: 'test-operator', password: 'test-operator' }

/** Opens a place, starts what belongs there, and cleans up when any of it fails. */
export async function starting<T>(
  options: EngineOptions,
  start: (place: Place) => Promise<T>,
): Promise<T & Pick<StartedEngine, 'ca' | 'close'>> {
  const binary = await findTestEngine()
  const { folder, remove } = freshFolder('cache-engine')
  const started: EngineNode[] = []
  const close = async (): Promise<void> => {
    await Promise.all(started.map((node) => node.kill()))
    remove()
  }
  try {
    const certificate = options.tls === true ? makeCertificate(folder) : undefined
    const ca = certificate && readFileSync(certificate.certificate, 'utf8')
    const credentials = credentialsOf(options)
    const launch = async (port: number, terms: Pick<NodeTerms, 'args' | 'credentials'>): Promise<EngineNode> => {
      const node = await startNode({ binary, port, dir: join(folder, `${port}`), ca, ...terms })
      started.push(node)
      return node
    }
    const place: Place = {
      folder,
      credentials,
      write(port, file, lines) {
        mkdirSync(join(folder, `${port}`), { recursive: true })
        writeFileSync(join(folder, `${port}`, file), `${lines.join('\n')}\n`)
      },
      startNode(port, settings = {}) {
        const { username, password } = operator
        place.write(port, 'users.acl', [...(options.users ?? []), `user ${username} on >${password} ~* &* +@all`])
        const listening = {
          ...common(folder, port),
          ...(certificate ? withTls(port, certificate) : { port: `${port}` }),
        }
        const own = { ...listening, ...keepingNothing, ...knowing(options, folder, port), ...settings }
        return launch(port, { args: argumentsOf({ ...own, ...options.settings }), credentials })
      },
      startSentinel(port, itsCredentials) {
        const own = { ...common(folder, port), ...(certificate ? withTls(port, certificate) : { port: `${port}` }) }
        const args = [join(folder, `${port}`, 'sentinel.conf'), '--sentinel', ...argumentsOf(own)]
        return launch(port, { args, credentials: itsCredentials })
      },
    }
    return { ...(await start(place)), ca, close }
  } catch (error) {
    await close()
    throw error
  }
}

function credentialsOf({ users, password }: EngineOptions): NodeTerms['credentials'] {
  if (users !== undefined) return operator
  return password === undefined ? {} : { password }
}

const common = (folder: string, port: number): Settings => ({ bind: '127.0.0.1', dir: join(folder, `${port}`) })

const keepingNothing: Settings = {
  save: '',
  appendonly: 'no',
  // Synced through a socket, a replica says that its link is up a second before it follows, and loses that second.
  'repl-diskless-sync': 'no',
  'repl-ping-replica-period': '1',
}

const withTls = (port: number, { certificate, key }: { certificate: string; key: string }): Settings => ({
  port: '0',
  'tls-port': `${port}`,
  'tls-cert-file': certificate,
  'tls-key-file': key,
  'tls-ca-cert-file': certificate,
  'tls-auth-clients': 'no',
  'tls-replication': 'yes',
  'tls-cluster': 'yes',
})

/** Whom a node lets in, and who it is to its primary. */
function knowing({ users, password }: EngineOptions, folder: string, port: number): Settings {
  if (users !== undefined) {
    const aclfile = join(folder, `${port}`, 'users.acl')
    return { aclfile, masteruser: operator.username, masterauth: operator.password }
  }
  return password === undefined ? {} : { requirepass: password, masterauth: password }
}

const argumentsOf = (settings: Settings): string[] =>
  Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
