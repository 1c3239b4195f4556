import { createHash } from 'node:crypto'
import type { Document, EngineUser, NodeFiles, Spec, TlsFiles } from '@holdfast/core'
import {
  announcedBy,
  authorityOf,
  engineUsers,
  keyName,
  nodePaths,
  ownedDirectives,
  placeProxy,
  renderConfig,
  renderProxy,
  renderSentinel,
  renderSentinelUsers,
  renderUsers,
  usesTls,
} from '@holdfast/core'
import type { EngineBinary } from './binary/engine-binary.ts'
import { identityFile } from './pki/engine-certificates.ts'
import type { Rendered } from './reconcile.ts'

/** The directory of a node on its host: a file that names it is written for there. */
export type NodeDir = (place: { readonly host: string; readonly id: string }, deployment: string) => string

export interface RenderTerms {
  readonly nodeDir: NodeDir
  readonly engine: EngineBinary
  readonly openFilesMax: number
}

/** The files of everything that a document places, and the directives that Holdfast owns in them. */
export function renderFiles(document: Document, spec: Spec, { nodeDir, engine, openFilesMax }: RenderTerms): Rendered {
  const { secrets } = document
  const usersFor = (chained: boolean): string => renderUsers({ spec, secrets, engine, sha256, chained })
  const signsInAs = (user: EngineUser): string => sha256(secrets[user] ?? '')
  const files = document.nodes.flatMap((node): [string, NodeFiles][] => {
    const dir = nodeDir(node, spec.name)
    const tls = tlsFilesOf(node.id, document, spec)
    if (tls === null) return []
    const identity = tls?.identity?.file
    const announced = announcedBy(node, document.nodes, spec)
    const config = renderConfig({ spec, node, secrets, engine, dir, openFilesMax, identity, announced })
    const users = usersFor(node.chained === true)
    const signsInWith = signsInAs(engineUsers.replication)
    return [[node.id, { config, users, engineVersion: engine.version, signsInWith, ...(tls && { tls }) }]]
  })
  const isWatched = document.sentinels !== undefined && document.sentinels.length > 0
  const sentinelUsers = isWatched ? renderSentinelUsers({ spec, secrets, engine, sha256 }) : ''
  for (const place of document.sentinels ?? []) {
    const dir = nodeDir(place, spec.name)
    const tls = tlsFilesOf(place.id, document, spec)
    if (tls === null) continue
    const config = renderSentinel({ spec, place, secrets, dir, identity: tls?.identity?.file })
    const signsInWith = signsInAs(engineUsers.sentinel)
    files.push([
      place.id,
      { config, users: sentinelUsers, engineVersion: engine.version, signsInWith, ...(tls && { tls }) },
    ])
  }
  const proxy = placeProxy(spec)
  if (proxy !== null) {
    const pem = authorityOf(document, spec)
    const file = nodePaths(nodeDir(proxy, spec.name)).authority
    const authority = pem === null ? undefined : { file, digest: sha256(pem) }
    const config = renderProxy({ spec, document, place: proxy, authority })
    files.push([proxy.id, { config, users: '', ...(pem === null ? {} : { tls: { authority: pem } }) }])
  }
  return { files: new Map(files), owned: ownedDirectives(spec, { engine, openFilesMax }) }
}

/** Undefined without TLS; null where there is no certificate yet: then it cannot be started. */
function tlsFilesOf(id: string, { certificates, secrets }: Document, spec: Spec): TlsFiles | null | undefined {
  if (!usesTls(spec)) return undefined
  const [certificate, key] = [certificates?.of[id], secrets[keyName(id)]]
  if (certificates === undefined || certificate === undefined || key === undefined) return null
  const { authority } = certificates
  return { authority, identity: identityFile(certificate, key, authority) }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
