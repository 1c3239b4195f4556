import type { Document } from '../document.ts'
import type { Status } from '../status.ts'
import { formatBytes } from '../units.ts'
import type { Manifest } from './manifest.ts'
import { bytesOf } from './manifest.ts'
import type { BackupListed } from './shelf.ts'

/** What a restore would do, in words. */
export interface RestorePreview {
  readonly lines: readonly string[]
  /** Whether there is data that it would replace: then the name has to be typed. */
  readonly replaces: boolean
}

export interface RestoreScene {
  readonly from: string
  readonly manifest: Manifest
  readonly state: BackupListed['state']
  readonly because: string
  readonly document: Document
  readonly status: Status | undefined
  /** As a person reads a time; core has no calendar. */
  readonly takenAt: string
}

export function previewRestore(scene: RestoreScene): RestorePreview {
  const { from, manifest, state, because, document, status, takenAt } = scene
  const { name } = document
  const keys = manifest.files.map((file) => file.keys).filter((count) => count !== null)
  const held = keys.length === manifest.files.length ? `${keys.reduce((a, b) => a + b, 0)} keys, ` : ''
  const replaces = holdsData(document, status)
  return {
    lines: [
      `${from}: ${manifest.deployment} as it was at ${takenAt}, ${held}${formatBytes(bytesOf(manifest))}, ${manifest.engine.flavor} ${manifest.engine.version}`,
      state === 'verified'
        ? 'it was loaded for trial and is whole'
        : `${state}: ${because}; every file is loaded for trial first`,
      'every file is fetched and its checksum compared before anything is touched; a backup that is damaged changes nothing',
      replaces
        ? `then every engine of ${name} stops, what it holds now is given up, and it starts with what the backup holds`
        : `then every engine of ${name} stops and starts with what the backup holds; it has no data now`,
    ],
    replaces,
  }
}

/** Whether there may be anything to lose. What nobody has seen to be empty is not. */
export function holdsData({ settledRevision }: Document, status: Status | undefined): boolean {
  if (status === undefined) return settledRevision > 0
  const keysOf = (id: string | null): number | null => status.nodes.find((node) => node.id === id)?.keys ?? null
  if (settledRevision === 0) return status.nodes.some(({ keys }) => keys !== null && keys > 0)
  return status.shards.some(({ primary }) => keysOf(primary) !== 0)
}

/** Why an operation cannot be ended from outside; null where it can. */
export const noWayBack =
  'the data that was there is given up already, and ending it here would leave nothing. Let it finish, or restore another backup'
