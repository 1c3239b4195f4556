/** What a controller knows, as a file that can be kept on another machine. */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import { bring, contentsOf, openContents, sealContents } from '../store/contents.ts'
import { readController } from '../store/controller-file.ts'
import { onDisk } from '../store/disk-error.ts'
import type { Home } from '../store/home.ts'
import { openStore } from '../store/open-store.ts'
import { secretKey } from '../store/secret-key.ts'
import { SqliteAudit } from '../store/sqlite-audit.ts'
import { writeAtomically } from '../write-file.ts'
import type { Context } from './context.ts'

/**
 * Nobody knows how often the lease has changed hands since a copy was taken, and agents obey no epoch below the highest
 * that they have seen: so many it never was.
 */
const epochsAhead = 1_000_000

/** `holdfast backup --controller`: also while one runs. */
export async function backupController({ home, out, say }: Context, name: string | undefined, to: string | undefined) {
  refuseName(name)
  const store = await openStore(home)
  try {
    const takenAt = new Date()
    const text = sealContents(contentsOf(store), secretKey(home.key, false), takenAt)
    const directory = resolve(to ?? join(home.path, 'controller-backups'))
    const path = join(directory, `controller-${takenAt.toISOString().replace(/[-:]|\.\d+/g, '')}.json`)
    onDisk(path, () => {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      copyAudit(home, auditBeside(path))
      writeAtomically(path, text)
    })
    out(path)
    say(`it opens with ${home.key} alone, which is not in it: keep a copy of that, too, and in another place`)
    say(`who asked for what is in ${auditBeside(path)}: keep it beside the other`)
  } finally {
    store.close()
  }
}

/** `holdfast restore --controller`: into a home that knows of no deployment yet, which no controller keeps. */
export async function restoreController({ home, say }: Context, name: string | undefined, from: string): Promise<void> {
  refuseName(name)
  const running = readController(home)
  if (running !== undefined) {
    throw new HoldfastError(
      'HOST_HOME_IN_USE',
      `a controller (pid ${running.pid}) keeps ${home.path}: end it with "kill ${running.pid}", then repeat this`,
      { pid: running.pid },
    )
  }
  if (!existsSync(home.key)) {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `${home.key} is not there, and the copy opens with the key of its home alone: put that key there, for its owner alone to read, then repeat this`,
      { path: home.key },
    )
  }
  const { takenAt, contents } = openContents(readCopy(from), secretKey(home.key, false), from)
  const store = await openStore(home)
  try {
    if (store.names().length > 0) {
      const sentence = `${home.path} knows ${store.names().join(', ')} already: restore into an empty HOLDFAST_HOME. Nothing was changed.`
      throw new HoldfastError('REFUSED_UNSAFE', sentence, { names: store.names() })
    }
    bringAudit(home, auditBeside(from), say)
    const brought = await bring(contents, store, epochsAhead)
    say(`as of ${takenAt}: ${brought.join(', ') || 'no deployment'}. What was changed after that is not known here.`)
    say(
      '"holdfast serve" goes on from there. Let no controller of before run beside it: its host was lost, or it is ended.',
    )
  } finally {
    store.close()
  }
}

/** The audit log grows for a year and holds no secret, so it is a file of its own, and not sealed. */
const auditBeside = (path: string): string => `${path.replace(/\.json$/, '')}.audit.db`

function copyAudit(home: Home, to: string): void {
  const audit = new SqliteAudit({ home })
  try {
    audit.copyTo(to)
  } finally {
    audit.close()
  }
}

/** The chain goes on where the copy of it ends. One that this home has begun already is not replaced. */
function bringAudit(home: Home, from: string, say: (line: string) => void): void {
  if (!existsSync(from)) return say(`${from} is not there: who asked for what before is not known here`)
  if (existsSync(home.audit)) return say(`${home.audit} was begun already and goes on; what was before is in ${from}`)
  const part = `${home.audit}.part`
  onDisk(home.audit, () => {
    copyFileSync(from, part)
    chmodSync(part, 0o600)
    renameSync(part, home.audit)
  })
}

function refuseName(name: string | undefined): void {
  if (name === undefined) return
  throw new HoldfastError('USAGE', `--controller is about all deployments of this home: leave out ${name.slice(0, 80)}`)
}

function readCopy(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new HoldfastError('BACKUP_UNREADABLE', `${path} cannot be read: name the file that was kept`, { path }, error)
  }
}
