/** Backups and restores as people and the clock ask for them: judged here, done by the loop. */
import { randomBytes } from 'node:crypto'
import { accessSync, constants, existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import type { BackupListed, Document, Manifest, Operation, RestorePreview, Spec, Status } from '@holdfast/core'
import {
  ended,
  HoldfastError,
  isDue,
  isUnfinished,
  objectionsToRestore,
  parseSpec,
  pauseAt,
  previewRestore,
  shardsOf,
} from '@holdfast/core'
import type { EngineBinary } from './binary/engine-binary.ts'
import type { Clock } from './clock.ts'
import { explainDisk, makeDirectory } from './host/backup/disk.ts'
import type { Shelf } from './host/backup/local-shelf.ts'
import { listBackups, openBackup } from './host/backup/shelf.ts'
import type { Log } from './log.ts'
import type { OperationDesk } from './operation-desk.ts'
import type { BackupAsked, BackupElsewhere, BackupPlatform, BackupsListed, RestoreAsked } from './server/platform.ts'
import { backupDirectory } from './store/backup-directory.ts'
import type { Home } from './store/home.ts'

/** How often it is looked whether a backup is due. */
const lookEveryMs = 5000
/** Without a schedule, nobody has said how many to keep. */
const keepDefault = 7

export interface BackupDeskOptions {
  readonly home: Home
  readonly clock: Clock
  readonly log: Log
  readonly operations: OperationDesk
  readonly names: () => string[]
  readonly document: (name: string) => Document
  readonly status: (name: string) => Status | undefined
  readonly shelf: Pick<Shelf, 'look'>
  readonly binary: (name: string) => Promise<EngineBinary>
}

export class BackupDesk implements BackupPlatform {
  readonly #options: BackupDeskOptions
  #timer: NodeJS.Timeout | undefined

  constructor(options: BackupDeskOptions) {
    this.#options = options
  }

  /** Looks after the schedules until stopped. */
  run(only?: string): void {
    this.#timer = setInterval(() => void this.#look(only), lookEveryMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  list(name: string): BackupsListed {
    const directory = this.#directoryOf(name, this.#specOf(name))
    const backups = listBackups(directory)
    const { at } = this.#options.shelf.look(name)
    const here = new Set(backups.map(({ id }) => id))
    const elsewhere = this.#options.document(name).operations.flatMap((one): BackupElsewhere[] => {
      if (one.kind !== 'backup' || one.state !== 'done' || one.at == null) return []
      if (one.at === at || here.has(one.id)) return []
      return [{ id: one.id, at: one.at, directory: one.directory, finishedAt: one.endedAt }]
    })
    return { at, directory, backups, elsewhere }
  }

  async ask(name: string, { id, to }: BackupAsked, actor: string): Promise<Operation> {
    const spec = this.#specOf(name)
    this.#refuseStandingBy(name)
    if (to !== null && !isAbsolute(to)) {
      throw new HoldfastError('USAGE', `${to}: name the directory by its absolute path`, { to })
    }
    const directory = to ?? this.#directoryOf(name, spec)
    const known = this.#options.document(name).operations.find((one) => one.id === id)
    if (known === undefined) refuseUnwritable(directory, id)
    const keep = to !== null ? null : spec.backup === 'off' ? keepDefault : spec.backup.keep
    return this.#options.operations.askTransfer(name, { kind: 'backup', id, subject: name, directory, keep }, actor)
  }

  read(from: string): { manifest: Manifest; state: BackupListed['state']; because: string } {
    return openBackup(from)
  }

  async previewRestore(name: string, from: string): Promise<RestorePreview> {
    this.#refuseStandingBy(name)
    const opened = await this.#openFor(name, from)
    const takenAt = new Date(opened.manifest.finishedAt).toISOString()
    return previewRestore({
      from,
      ...opened,
      takenAt,
      document: this.#options.document(name),
      status: this.#options.status(name),
    })
  }

  async restore(name: string, { id, from, replace }: RestoreAsked, actor: string): Promise<Operation> {
    const { replaces } = await this.previewRestore(name, from)
    if (replaces && replace !== name) {
      throw new HoldfastError(
        'REFUSED_NOT_CONFIRMED',
        `${name} holds data, and a restore replaces all of it: say so with its name, --replace ${name}. Nothing was changed.`,
        { name },
      )
    }
    const { manifest, state } = await this.#openFor(name, from)
    const { flavor, version } = await this.#options.binary(name)
    // The same engine has loaded it already: a second time tells nothing more, and takes as long as the restore itself.
    const trial = state !== 'verified' || manifest.engine.flavor !== flavor || manifest.engine.version !== version
    const now = Math.round(this.#options.clock.wall())
    return this.#options.operations.askTransfer(
      name,
      { kind: 'restore', id, subject: name, from, files: manifest.files, trial },
      actor,
      (document) => ({ ...document, wanted: 'up', purge: false, operations: document.operations.map(superseded(now)) }),
    )
  }

  async #openFor(name: string, from: string): Promise<ReturnType<typeof openBackup>> {
    const opened = openBackup(from)
    const staying = this.#options.document(name).nodes.filter(({ leaving }) => leaving === undefined)
    const shards = shardsOf(staying).map(({ id }) => id)
    const engine = await this.#options.binary(name)
    const objections = objectionsToRestore(opened.manifest, this.#specOf(name), engine, shards)
    if (objections.length === 0) return opened
    throw new HoldfastError(
      'BACKUP_UNFIT',
      `${from} cannot be restored into ${name}: ${objections.join('; ')}. Nothing was touched; restore it into a deployment of its own shape.`,
      { name, from, objections },
    )
  }

  /** Asks for the backups that are due. What goes wrong with one is its own operation's to tell. */
  async #look(only: string | undefined): Promise<void> {
    for (const name of this.#options.names()) {
      if (only !== undefined && name !== only) continue
      try {
        await this.#askWhereDue(name)
      } catch (error) {
        this.#options.log.error({ deployment: name, err: error }, 'schedule of backups not looked at')
      }
    }
  }

  async #askWhereDue(name: string): Promise<void> {
    const { clock, operations } = this.#options
    const document = this.#options.document(name)
    const { backup } = parseSpec(document.spec)
    const status = this.#options.status(name)
    const now = Math.round(clock.wall())
    if (backup === 'off' || document.wanted === 'down' || pauseAt(document, now) !== null) return
    if (status?.ready !== 'yes' || status.controller.lease !== 'held') return
    const mine = document.operations.filter(({ kind }) => kind === 'backup')
    if (mine.some(isUnfinished)) return
    const { directory, backups, elsewhere } = this.list(name)
    const good = [...backups.filter(({ state }) => state !== 'broken'), ...elsewhere]
    const lastAt = maxOf(good.map(({ finishedAt }) => finishedAt ?? 0))
    const triedAt = maxOf(mine.map(({ endedAt, requestedAt }) => endedAt ?? requestedAt))
    if (!isDue({ everyMs: backup.every, lastAt, firstReadyAt: document.firstReadyAt ?? null, triedAt, now })) return
    const id = newBackupId(now)
    await operations.askTransfer(name, { kind: 'backup', id, subject: name, directory, keep: backup.keep }, 'schedule')
  }

  /** Files are taken to the machine of the controller that acts, and from there: what lies here, that one does not see. */
  #refuseStandingBy(name: string): void {
    const { id, lease } = this.#options.status(name)?.controller ?? {}
    if (lease !== 'lost') return
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `another controller (${id}) acts on ${name}, and backups are taken and restored on the machine of the one that acts: ask there. "holdfast backups ${name}" says where each is.`,
      { name, controller: id },
    )
  }

  #specOf(name: string): Spec {
    return parseSpec(this.#options.document(name).spec)
  }

  #directoryOf(name: string, { backup }: Spec): string {
    return backupDirectory(this.#options.home, name, backup)
  }
}

/** `20261130T031500Z-a1b2`: sorts by time, and is a name for a directory. */
function newBackupId(now: number): string {
  const time = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '')
  return `${time}-${randomBytes(2).toString('hex')}`
}

/** Said at once to whoever asks, instead of by an operation that fails a moment later. */
function refuseUnwritable(directory: string, id: string): void {
  try {
    makeDirectory(directory)
    accessSync(directory, constants.W_OK)
  } catch (error) {
    throw explainDisk(error, directory, 'the backup')
  }
  if (!existsSync(join(directory, id))) return
  throw new HoldfastError('USAGE', `${join(directory, id)} exists: choose another id, or another directory`, { id })
}

/** Of two restores the later one counts. The one that it replaces has given the old data up already. */
const superseded =
  (now: number) =>
  (one: Operation): Operation =>
    one.kind === 'restore' && isUnfinished(one)
      ? ended(one, 'failed', `restore from ${one.from} was given up for a later one; it was: ${one.because}`, now)
      : one

const maxOf = (times: readonly number[]): number | null => (times.length === 0 ? null : Math.max(...times))
