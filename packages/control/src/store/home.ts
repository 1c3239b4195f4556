import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import { writeAtomically } from '../write-file.ts'
import { onDisk } from './disk-error.ts'

/** Where everything is that Holdfast writes. */
export interface Home {
  readonly path: string
  readonly state: string
  readonly history: string
  /** Who asked for what. */
  readonly audit: string
  readonly key: string
  readonly controllerFile: string
  /** The certificate of the home's authority, for whoever shall believe what the panel shows to other machines. */
  readonly authority: string
  /** Engines that were fetched. */
  readonly engines: string
  /** What the agent keeps: records of nodes, epochs seen. Outside the data directories, so it outlives a purge. */
  readonly agent: string
  /** The controller's own log. */
  readonly log: string
  deployment(name: string): string
  node(deployment: string, id: string): string
  /** Backups of a deployment whose spec names no other place. They outlive it. */
  backups(deployment: string): string
}

const layoutKnown = 1

/**
 * What may lie in a home that was not opened before: an engine may be fetched before anything else is done, and the key
 * of another controller is brought there by hand.
 */
const oursBeforeFirst = new Set(['engines', 'version', 'agent', 'deployments', 'controller.log', 'secret.key'])

/** `HOLDFAST_HOME`, or `~/.holdfast`. */
export function homePath(env: Readonly<Record<string, string | undefined>>, userHome: string): string {
  const named = env['HOLDFAST_HOME']
  return named === undefined || named === '' ? join(userHome, '.holdfast') : resolve(named)
}

/**
 * Opens the home, making it if there is none. Refuses what it should not touch: another user's, a newer version's, a
 * directory full of something else, a disk that takes no writes.
 */
export function openHome(path: string, { uid }: { uid: number }): Home {
  const root = resolve(path)
  onDisk(root, () => makeDirectory(root))
  const stat = onDisk(root, () => statSync(root))
  if (!stat.isDirectory()) {
    throw new HoldfastError('USAGE', `${root} is not a directory. Name another HOLDFAST_HOME.`, { path: root })
  }
  if (stat.uid !== uid) {
    throw new HoldfastError(
      'HOST_HOME_FOREIGN',
      `${root} belongs to user ${stat.uid}, and this is user ${uid}. Run as that user, or name another HOLDFAST_HOME.`,
      { path: root, owner: stat.uid, uid },
    )
  }
  const home = homeAt(root)
  onDisk(root, () => {
    checkLayout(root)
    // Only now that it is known to be ours: closing a directory of somebody's would break what lives there.
    if ((stat.mode & 0o077) !== 0) chmodSync(root, 0o700)
    checkWritable(root)
    for (const directory of [home.engines, home.agent, join(root, 'deployments')]) {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
    }
    if (layoutOf(root) === undefined) writeAtomically(join(root, 'version'), `${layoutKnown}\n`)
  })
  return home
}

/** The paths of a home, without touching the disk. */
export function homeAt(root: string): Home {
  return {
    path: root,
    state: join(root, 'state.db'),
    history: join(root, 'history.db'),
    audit: join(root, 'audit.db'),
    key: join(root, 'secret.key'),
    controllerFile: join(root, 'controller.json'),
    authority: join(root, 'authority.pem'),
    engines: join(root, 'engines'),
    agent: join(root, 'agent'),
    log: join(root, 'controller.log'),
    deployment: (name) => join(root, 'deployments', plainName(name)),
    node: (deployment, id) => join(root, 'deployments', plainName(deployment), plainName(id)),
    backups: (deployment) => join(root, 'backups', plainName(deployment)),
  }
}

/**
 * With its parents, each for its owner alone; what is there already is looked at by the caller. Step by step, because
 * the recursive `mkdir` says "no such file" where the disk is read-only.
 */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EEXIST') return
    if (code !== 'ENOENT' || dirname(path) === path) throw error
    makeDirectory(dirname(path))
    // Another process may have been quicker by now.
    makeDirectory(path)
  }
}

function layoutOf(root: string): string | undefined {
  try {
    return readFileSync(join(root, 'version'), 'utf8').trim()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function checkLayout(root: string): void {
  const found = layoutOf(root)
  if (found === undefined) {
    const foreign = readdirSync(root).find((entry) => !oursBeforeFirst.has(entry))
    if (foreign === undefined) return
    throw new HoldfastError(
      'USAGE',
      `${root} is not a home of Holdfast, and not empty: there is "${foreign}". Name an empty directory, or one to be made.`,
      { path: root, found: foreign },
    )
  }
  if (found !== String(layoutKnown)) {
    throw new HoldfastError(
      'HOST_HOME_NEWER',
      `${root} was written by a newer Holdfast (layout "${found.slice(0, 20)}", this one knows ${layoutKnown}). Run that version, or name another HOLDFAST_HOME.`,
      { path: root, found: found.slice(0, 20), known: layoutKnown },
    )
  }
}

/** Writes a block and takes it away again: permissions do not tell whether a disk is full or read-only. */
function checkWritable(root: string): void {
  const probe = join(root, `.probe-${process.pid}`)
  const file = openSync(probe, 'w', 0o600)
  try {
    writeSync(file, Buffer.alloc(4096))
    fsyncSync(file)
  } finally {
    closeSync(file)
    rmSync(probe, { force: true })
  }
}

/** Names of deployments and nodes become directories, so they must not be able to leave the home. */
function plainName(name: string): string {
  if (/^[a-z][a-z0-9-]*$/.test(name)) return name
  throw new HoldfastError(
    'USAGE',
    `"${name.slice(0, 60)}" is not a name: use a-z, 0-9 and -, starting with a letter`,
    {},
  )
}
