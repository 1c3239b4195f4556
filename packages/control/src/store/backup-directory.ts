import { join } from 'node:path'
import type { Spec } from '@holdfast/core'
import type { Home } from './home.ts'

/** Where the backups of a deployment are that nobody has sent elsewhere. */
export const backupDirectory = (home: Pick<Home, 'backups'>, name: string, backup: Spec['backup']): string =>
  backup === 'off' || backup.directory === null ? home.backups(name) : join(backup.directory, name)
