import { spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import type { Action, NodeFiles, NodePlace, SentinelPlace } from '@holdfast/core'
import {
  busPortOf,
  HoldfastError,
  mendShardIds,
  nodePaths,
  quoteWord,
  withIdentity,
  withoutFollowing,
} from '@holdfast/core'
import type { EngineBinary } from '../binary/engine-binary.ts'
import { processesIn } from '../proc.ts'
import { dropOldIdentities, writeIdentity, writeWhole } from './identity-files.ts'

export interface StartRequest {
  readonly binary: EngineBinary
  readonly place: NodePlace | SentinelPlace
  readonly nodeDir: string
  readonly action: Extract<Action, { kind: 'start' }>
  readonly gate: () => void
  /** It is a Sentinel: its file is its own once it is there. */
  readonly sentinel?: boolean
}

export interface StartedEngine {
  readonly pid: number
  onExit(listener: () => void): void
}

export const logPath = (nodeDir: string): string => join(nodeDir, 'engine.log')

/** Starts one engine in a session of its own, so that it outlives controller, agent and terminal. */
export async function startEngine({
  binary,
  place,
  nodeDir,
  action,
  gate,
  sentinel,
}: StartRequest): Promise<StartedEngine> {
  mkdirSync(nodePaths(nodeDir).data, { recursive: true, mode: 0o700 })
  if (sentinel === true) writeSentinelFiles(nodeDir, action.files)
  else {
    writeIdentity(nodeDir, action.files)
    writeConfig(nodeDir, filesToStartWith(action))
    writeUsers(nodeDir, action.files)
  }
  dropOldIdentities(nodeDir, action.files)
  const { unclustered = false } = action
  for (const port of unclustered ? [place.port] : [place.port, busPortOf(place.port)]) {
    await claimPort(place.address, port, place.id)
  }
  if (unclustered) refuseInhabited(nodePaths(nodeDir).data, place.id)
  const locked = unclustered ? holdingLock(`${nodeDir}/lock`) : []
  const log = openSync(logPath(nodeDir), 'a', 0o600)
  try {
    gate()
    mendNodesFile(nodePaths(nodeDir).data, log)
    const engine = [
      binary.server,
      ...(sentinel === true ? sentinelArguments(nodeDir) : engineArguments(nodeDir, action)),
    ]
    const [program = '', ...args] = [...locked, ...engine]
    const child = spawn(program, args, {
      cwd: nodePaths(nodeDir).data,
      env: { ...process.env, ...binary.env },
      detached: true,
      stdio: ['ignore', log, log],
    })
    const failed = new Promise<never>((_, reject) => {
      child.once('error', (error) => reject(startFailed(place.id, error.message, error)))
    })
    await Promise.race([new Promise<void>((resolve) => child.once('spawn', resolve)), failed])
    failed.catch(() => {})
    child.unref()
    return { pid: child.pid as number, onExit: (listener) => void child.once('exit', listener) }
  } finally {
    closeSync(log)
  }
}

const sentinelArguments = (nodeDir: string): string[] => [nodePaths(nodeDir).sentinel, '--sentinel']

const engineArguments = (nodeDir: string, { follow, instead = {} }: StartRequest['action']): string[] => [
  nodePaths(nodeDir).config,
  ...Object.entries(instead).flatMap(([name, value]) => [`--${name}`, value]),
  ...(follow === undefined ? [] : ['--replicaof', follow.address, String(follow.port)]),
]

/**
 * A Sentinel writes into its file whom it watches and in which epoch: it is made once, and never written over. Only what
 * it shall show is changed there, while it does not run.
 */
function writeSentinelFiles(nodeDir: string, files: NodeFiles): void {
  const paths = nodePaths(nodeDir)
  writeIdentity(nodeDir, files)
  if (!existsSync(paths.sentinel)) writeFileSync(paths.sentinel, files.config, { mode: 0o600 })
  const own = readFileSync(paths.sentinel, 'utf8')
  const next = withIdentity(own, files.config)
  if (next !== own) writeWhole(paths.sentinel, next)
  writeWhole(paths.users, files.users)
}

/**
 * The beginning of a command line that holds a lock as long as its process lives, however that ends: util-linux's
 * `flock` opens the file, locks it and becomes the engine, which inherits the open file, and so do its children that
 * write a snapshot. In a Cluster the engine locks its nodes.conf; elsewhere it locks nothing.
 */
const holdingLock = (path: string): string[] => ['flock', '--verbose', '--nonblock', '--no-fork', path]

/** Somebody may have started an engine here without our lock; every engine works in its data directory. */
function refuseInhabited(dataDir: string, node: string): void {
  const [found] = processesIn(dataDir)
  if (found === undefined) return
  throw startFailed(node, `${found.command} (pid ${found.pid}) works in ${dataDir} already`, undefined)
}

/** By a rename, so that a crash leaves one of the two files whole. Nothing runs here: the ports were free just now. */
function mendNodesFile(data: string, log: number): void {
  const path = join(data, 'nodes.conf')
  const mended = existsSync(path) ? mendShardIds(readFileSync(path, 'utf8')) : null
  if (mended === null) return
  writeFileSync(`${path}.mended`, mended, { mode: 0o644 })
  renameSync(`${path}.mended`, path)
  writeSync(
    log,
    'Holdfast: nodes.conf had a replica in another shard than its primary, which Valkey 8.0 refuses. Mended.\n',
  )
}

/**
 * Where the data is in the file of another persistence, the config says so too: whoever starts this engine again, in the
 * same way, finds the same data. The last word on a directive counts.
 */
function filesToStartWith({ files: rendered, follow, loadRdb, loadAof }: StartRequest['action']): NodeFiles {
  const files = follow === undefined ? { ...rendered, config: withoutFollowing(rendered.config) } : rendered
  if (loadRdb !== true && loadAof !== true) return files
  const word = loadAof === true ? 'yes' : 'no'
  const why = `# The data is in ${loadAof === true ? 'an append-only file' : 'a snapshot'}: loaded from there, and changed live.`
  return { ...files, config: `${files.config}\n${why}\nappendonly ${word}\n` }
}

export function writeUsers(nodeDir: string, files: NodeFiles): void {
  writeWhole(nodePaths(nodeDir).users, files.users)
}

export function writeConfig(nodeDir: string, files: NodeFiles): void {
  writeWhole(nodePaths(nodeDir).config, files.config)
}

/** That line alone: what else of the file is not as it is rendered now was not told to the engine yet. */
export function writeSignIn(nodeDir: string, password: string): void {
  const path = nodePaths(nodeDir).config
  const text = readFileSync(path, 'utf8')
  writeWhole(
    path,
    text.replace(/^masterauth .*$/m, () => `masterauth ${quoteWord(password)}`),
  )
}

/** Deletes a node's directory, and that of its deployment with the last of them. */
export function removeNode(nodeDir: string): void {
  rmSync(nodeDir, { recursive: true, force: true })
  const deployment = dirname(nodeDir)
  if (existsSync(deployment) && readdirSync(deployment).length === 0) rmdirSync(deployment)
}

/** The engine's last words, without time stamps and banners: what a person needs to mend it. */
export function tailOfLog(nodeDir: string): string {
  let text: string
  try {
    text = readFileSync(logPath(nodeDir), 'utf8').slice(-4000)
  } catch {
    return 'it left no log'
  }
  const lines = text.trimEnd().split('\n')
  if (lines.at(-1)?.startsWith('flock: failed') === true) return 'another engine has the lock of its directory'
  const fatal = lines.findLastIndex((line) => line.includes('FATAL CONFIG FILE ERROR'))
  if (fatal >= 0)
    return lines
      .slice(fatal + 1, fatal + 4)
      .join(' ')
      .trim()
  const warnings = lines.filter((line) => / # /.test(line)).map((line) => line.replace(/^.* # /, ''))
  return warnings.at(-1) ?? lines.at(-1) ?? 'it said nothing'
}

/** Whether the port can be had; said before the start, since the engine's own words come late and in its log. */
export async function claimPort(address: string, port: number, node: string): Promise<void> {
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, address, resolve)
    })
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
    if (!isTaken) throw startFailed(node, (error as Error).message, error)
    throw new HoldfastError(
      'HOST_PORT_IN_USE',
      `port ${port} of ${address} is in use, ${node} cannot start: end what listens there, or choose another expose.basePort`,
      { address, port, node },
      error,
    )
  } finally {
    await new Promise<void>((resolve) => void server.close(() => resolve()))
  }
}

const startFailed = (node: string, why: string, cause: unknown): HoldfastError =>
  new HoldfastError('ENGINE_START_FAILED', `${node} did not start: ${why}`, { node }, cause)
