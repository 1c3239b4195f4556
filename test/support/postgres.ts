/** A real PostgreSQL for tests: a fresh database on a free port, quick because nothing waits for the disk. */
import type { ChildProcess } from 'node:child_process'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Pool } from 'pg'
import { freePorts } from './engines.ts'
import { eventually } from './eventually.ts'
import type { PostgresPrograms } from './fetch-postgres.ts'
import { findPostgres, ordinaryUser } from './fetch-postgres.ts'
import { diesWithUs, freshFolder, killLater } from './living.ts'

export interface Postgres {
  readonly url: string
  readonly pool: Pool
  /** Ends every session at once, unfinished transactions with them; callers see refused connections until `restart`. */
  readonly kill: () => Promise<void>
  /** Starts it again on the same port with the tables it had. */
  readonly restart: () => Promise<void>
  readonly close: () => Promise<void>
}

export async function startPostgres(found?: PostgresPrograms): Promise<Postgres> {
  const programs = found ?? (await findPostgres())
  const owner = ordinaryUser()
  const env = { ...process.env, ...programs.env }
  const { folder, remove } = freshFolder('postgres')
  const data = join(folder, 'data')
  const said: string[] = []
  let child: ChildProcess | undefined
  let pool: Pool | undefined

  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    // The immediate shutdown. By SIGKILL the sessions would outlive it for a moment and keep the next start from its data.
    child.kill('SIGQUIT')
    await gone
  }
  const close = async (): Promise<void> => {
    await pool?.end().catch(() => undefined)
    await kill()
    remove()
  }
  try {
    if (owner !== undefined) {
      chownSync(folder, owner.uid, owner.gid)
      chmodSync(folder, 0o700)
    }
    const layout = ['-D', data, '-U', 'test', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
    await promisify(execFile)(programs.initdb, layout, { cwd: folder, env, ...owner })
    const port = await freePorts(1)
    const launch = async (): Promise<void> => {
      const [program, ...before] = diesWithUs(programs.postgres)
      const started = spawn(program, [...before, '-D', data, ...settingsFor(port)], {
        cwd: folder,
        env,
        ...owner,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      child = started
      killLater(started)
      const saidBefore = said.length
      started.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()))
      const ended = (): boolean => started.exitCode !== null || started.signalCode !== null
      await eventually(() => ended() || said.slice(saidBefore).join('').includes('ready to accept connections'), {
        what: 'PostgreSQL is ready',
      })
      if (ended()) throw new Error(`PostgreSQL did not start:\n${said.join('')}`)
    }
    await launch()
    const url = `postgres://test@127.0.0.1:${port}/postgres`
    const opened = new Pool({ connectionString: url, max: 10 })
    // An idle connection that is lost is opened again by the next query; the test sees it there if it matters.
    opened.on('error', () => undefined)
    pool = opened
    const restart = async (): Promise<void> => {
      await kill()
      await launch()
    }
    return { url, pool: opened, kill, restart, close }
  } catch (error) {
    await close()
    throw error
  }
}

const settingsFor = (port: number): string[] =>
  [
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    'unix_socket_directories=',
    'fsync=off',
    'full_page_writes=off',
    'shared_buffers=16MB',
    'max_connections=60',
    'autovacuum=off',
  ].flatMap((setting) => ['-c', setting])
