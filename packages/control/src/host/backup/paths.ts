import { join } from 'node:path'

/** Where a backup is while it is not finished: nothing that looks for backups looks at names with a dot. */
export const partOf = (directory: string, backup: string): string => join(directory, `.${backup}.part`)

export const isPart = (name: string): boolean => /^\.[A-Za-z0-9][\w-]*\.part$/.test(name)

/** It names files. */
export const isOperationId = (id: string): boolean => /^[A-Za-z0-9][\w-]{0,79}$/.test(id)

export const beforePrefix = 'data.before-'

/** Where a node keeps the snapshot that is collected from it, until the backup is over. */
export const takenPath = (nodeDir: string): string => join(nodeDir, 'backup')

/** What a node keeps of a restore beside its data. */
export const restorePaths = (nodeDir: string) => ({
  /** The files that were fetched, by the id of the restore. */
  fetched: join(nodeDir, 'restore'),
  fetchedFile: (restore: string): string => join(nodeDir, 'restore', `${restore}.rdb`),
  /** The same while it is sent from another machine. */
  arrivingFile: (restore: string): string => join(nodeDir, 'restore', `${restore}.arriving`),
  /** The data as it was before this restore, until that is done. */
  before: (restore: string): string => join(nodeDir, `${beforePrefix}${restore}`),
  /** The id of the restore that this node's data began with. */
  mark: join(nodeDir, 'restored'),
})
