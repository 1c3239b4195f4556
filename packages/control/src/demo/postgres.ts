/** A PostgreSQL of the demonstration's own: a fresh database on a free port of loopback, which ends with us. */
import type { ChildProcess } from 'node:child_process'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { HoldfastError } from '@holdfast/core'
import { Client } from 'pg'
import { directoriesOf } from '../binary/lookup.ts'
import { newPassword } from '../new-password.ts'
import type { DatabasePlace, DemoDatabase } from './database.ts'
import { freePort } from './free-ports.ts'
import { goods } from './goods.ts'
import { diesWithUs } from './mortal.ts'

interface PostgresPrograms {
  readonly initdb: string
  readonly postgres: string
}

interface User {
  readonly uid: number
  readonly gid: number
}

const user = 'shop'
const readyWithinMs = 20_000
/** In the demonstration's folder: where a database that root started lies, which another user must be able to enter. */
const elsewhere = 'database-folder'

/** The installed one; undefined where there is none, or where nobody could run it. It is never fetched for this. */
export async function findPostgres(path = process.env['PATH'] ?? ''): Promise<PostgresPrograms | undefined> {
  const packaged = '/usr/lib/postgresql'
  const versions = existsSync(packaged) ? readdirSync(packaged) : []
  const newestFirst = versions.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
  const folders = [...directoriesOf(path), ...newestFirst.map((version) => join(packaged, version, 'bin'))]
  const owner = ordinaryUser()
  if (owner === 'nobody to run it') return undefined
  for (const folder of folders) {
    const programs = { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') }
    if (!existsSync(programs.initdb) || !existsSync(programs.postgres)) continue
    const runs = promisify(execFile)(programs.postgres, ['--version'], { cwd: '/', timeout: 10_000, ...owner })
    if (await runs.then(Boolean, () => false)) return programs
  }
  return undefined
}

/** PostgreSQL refuses to run as root: then it runs as its package's user, else as nobody. */
function ordinaryUser(): User | undefined | 'nobody to run it' {
  if (process.getuid?.() !== 0) return undefined
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  return 'nobody to run it'
}

export class Postgres implements DemoDatabase {
  readonly place: DatabasePlace & { readonly kind: 'PostgreSQL' }
  readonly #programs: PostgresPrograms
  readonly #folder: string
  readonly #owner: User | undefined
  #child: ChildProcess | undefined
  /** Stopping and starting follow each other, however quickly they are asked for. */
  #last: Promise<void> = Promise.resolve()

  private constructor(programs: PostgresPrograms, folder: string, owner: User | undefined, port: number) {
    this.#programs = programs
    this.#folder = folder
    this.#owner = owner
    this.place = { kind: 'PostgreSQL', port, user, password: newPassword() }
  }

  /** Makes it, starts it and fills it. */
  static async open(programs: PostgresPrograms, demoFolder: string): Promise<Postgres> {
    const owner = ordinaryUser()
    if (owner === 'nobody to run it') throw new HoldfastError('USAGE', 'nobody can run PostgreSQL here')
    const folder = folderFor(owner, demoFolder)
    const postgres = new Postgres(programs, folder, owner, await freePort())
    try {
      await postgres.#make()
      await postgres.start()
      await postgres.#fill()
      return postgres
    } catch (error) {
      await postgres.close()
      throw error
    }
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  stop(): Promise<void> {
    return this.#next(() => this.#end())
  }

  start(): Promise<void> {
    return this.#next(() => this.#launch())
  }

  async close(): Promise<void> {
    await this.stop()
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }

  #next(work: () => Promise<void>): Promise<void> {
    const mine = this.#last.then(work)
    this.#last = mine.catch(() => undefined)
    return mine
  }

  /** The password goes in by a file that is gone before anybody can ask for it. */
  async #make(): Promise<void> {
    const secret = join(this.#folder, 'password')
    writeFileSync(secret, this.place.password, { mode: 0o600 })
    if (this.#owner !== undefined) chownSync(secret, this.#owner.uid, this.#owner.gid)
    const how = ['-D', this.#data, '-U', user, '-A', 'scram-sha-256', '--pwfile', secret, '-E', 'UTF8', '--locale=C']
    const where = { cwd: this.#folder, ...this.#owner }
    await promisify(execFile)(this.#programs.initdb, [...how, '--no-sync', '--no-instructions'], where)
    rmSync(secret)
  }

  async #launch(): Promise<void> {
    if (this.#child !== undefined) return
    const [program, ...before] = diesWithUs('QUIT', this.#programs.postgres)
    const child = spawn(program, [...before, '-D', this.#data, ...settingsFor(this.place.port)], {
      cwd: this.#folder,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      ...this.#owner,
    })
    this.#child = child
    child.once('exit', () => {
      if (this.#child === child) this.#child = undefined
    })
    await isReady(child)
  }

  /** The immediate shutdown. By SIGKILL its sessions would outlive it and keep the next start from its data. */
  async #end(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    const gone = once(child, 'exit')
    child.kill('SIGQUIT')
    const late = setTimeout(() => child.kill('SIGKILL'), 5000)
    await gone
    clearTimeout(late)
  }

  async #fill(): Promise<void> {
    const client = new Client({ host: '127.0.0.1', database: 'postgres', ...this.place })
    await client.connect()
    try {
      await client.query('CREATE TABLE product (id text PRIMARY KEY, name text, price_cents int, stock int)')
      const all = goods()
      await client.query('INSERT INTO product SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[])', [
        all.map(({ id }) => id),
        all.map(({ name }) => name),
        all.map(({ priceCents }) => priceCents),
        all.map(({ stock }) => stock),
      ])
    } finally {
      await client.end()
    }
  }

  get #data(): string {
    return join(this.#folder, 'data')
  }
}

/** What an earlier demonstration left that was killed; only root's lies outside of its folder. */
export function removeLeftDatabase(demoFolder: string): void {
  const note = join(demoFolder, elsewhere)
  if (!existsSync(note)) return
  const left = readFileSync(note, 'utf8')
  if (left.startsWith(join(tmpdir(), 'holdfast-demo-'))) rmSync(left, { recursive: true, force: true })
}

/** A home is closed to all others, and so no place for a database that another user runs. */
function folderFor(owner: User | undefined, demoFolder: string): string {
  if (owner === undefined) return mkdtempSync(join(demoFolder, 'postgres-'))
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-demo-'))
  writeFileSync(join(demoFolder, elsewhere), folder, { mode: 0o600 })
  chownSync(folder, owner.uid, owner.gid)
  chmodSync(folder, 0o700)
  return folder
}

/** Nothing waits for the disk: the data is made anew each time. */
const settingsFor = (port: number): string[] =>
  [
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    'unix_socket_directories=',
    'fsync=off',
    'full_page_writes=off',
    'shared_buffers=16MB',
    'max_connections=40',
    'autovacuum=off',
    'jit=off',
  ].flatMap((setting) => ['-c', setting])

function isReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = ''
    const fail = (why: string): void => {
      const words = said.trim().split('\n').at(-1) ?? ''
      reject(new HoldfastError('USAGE', `the demonstration's PostgreSQL ${why}: ${words || 'it said nothing'}`))
    }
    const late = setTimeout(() => fail('is not ready in time'), readyWithinMs)
    child.once('error', ({ message }) => fail(`does not start (${message})`))
    child.once('exit', () => {
      clearTimeout(late)
      fail('ended')
    })
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      said = `${said}${chunk}`.slice(-4000)
      if (!said.includes('ready to accept connections')) return
      clearTimeout(late)
      resolve()
    })
  })
}
