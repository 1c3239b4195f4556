import { createHash } from 'node:crypto'
import type { Document, EngineUser, NodeFiles, Spec } from '@holdfast/core'
import {
  engineUsers,
  ownedDirectives,
  placeProxy,
  renderConfig,
  renderProxy,
  renderSentinel,
  renderSentinelUsers,
  renderUsers,
} from '@holdfast/core'
import type { EngineBinary } from './binary/engine-binary.ts'
import type { Rendered } from './reconcile.ts'
import type { Home } from './store/home.ts'

export interface RenderTerms {
  readonly home: Home
  readonly engine: EngineBinary
  readonly openFilesMax: number
}

/** The files of everything that a document places, and the directives that Holdfast owns in them. */
export function renderFiles(document: Document, spec: Spec, { home, engine, openFilesMax }: RenderTerms): Rendered {
  const { secrets } = document
  const usersFor = (chained: boolean): string => renderUsers({ spec, secrets, engine, sha256, chained })
  const signsInAs = (user: EngineUser): string => sha256(secrets[user] ?? '')
  const files = document.nodes.map((node): [string, NodeFiles] => {
    const dir = home.node(spec.name, node.id)
    const config = renderConfig({ spec, node, secrets, engine, dir, openFilesMax })
    const users = usersFor(node.chained === true)
    return [node.id, { config, users, engineVersion: engine.version, signsInWith: signsInAs(engineUsers.replication) }]
  })
  const isWatched = document.sentinels !== undefined && document.sentinels.length > 0
  const sentinelUsers = isWatched ? renderSentinelUsers({ spec, secrets, engine, sha256 }) : ''
  for (const place of document.sentinels ?? []) {
    const dir = home.node(spec.name, place.id)
    const config = renderSentinel({ spec, place, secrets, dir })
    files.push([
      place.id,
      { config, users: sentinelUsers, engineVersion: engine.version, signsInWith: signsInAs(engineUsers.sentinel) },
    ])
  }
  const proxy = placeProxy(spec)
  if (proxy !== null) files.push([proxy.id, { config: renderProxy({ spec, document, place: proxy }), users: '' }])
  return { files: new Map(files), owned: ownedDirectives(spec, { engine, openFilesMax }) }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
