/**
 * The data of one shard as a file of a backup.
 *
 * The engine saves a snapshot by itself (`BGSAVE`); this asks for it, waits, and takes the file. What the file is, its
 * own head says: its place in the replication stream and its number of keys. The file gets its name only when its
 * checksum is known, and its record is written after it, so that whoever comes after a kill finds a whole part or none.
 */
import { existsSync, renameSync, rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { BackupFile, Job } from '@holdfast/core'
import { HoldfastError, infoNumber, manifestName, parseInfo, parseRdbHead, rdbHeadBytes } from '@holdfast/core'
import type { Command } from '../change-engine.ts'
import { explainDisk, makeDirectory, onSameDisk, refuseFullDisk, syncDirectory } from './disk.ts'
import type { Watch } from './hash-file.ts'
import { linkOrCopy } from './hash-file.ts'
import { describePart, keepPart, readPart } from './part.ts'
import { partOf } from './paths.ts'

const pollMs = 50
/** A snapshot is not as large as what was estimated from the last one to the byte. */
const margin = 1.1

export interface SnapshotPlace {
  readonly node: string
  readonly dataDir: string
  readonly engine: BackupFile['takenFrom']['engine']
  readonly command: Command
  /** What the engine said last, for people. */
  readonly lastWords: () => string
  readonly wallNow: () => number
  /** Distinguishes what this process writes from what one before it has left. */
  readonly writer: string
}

type SnapshotJob = Extract<Job, { kind: 'snapshot' }> & { readonly directory: string }

/** Takes it, or finds that it was taken. Answers what there is, in words. */
export async function takeSnapshot(job: SnapshotJob, place: SnapshotPlace, watch: Watch): Promise<string> {
  const part = partOf(job.directory, job.backup)
  const what = `the backup of ${job.shard}`
  // Where it was sealed already, only the memory of it was lost.
  if (existsSync(join(job.directory, job.backup, manifestName))) return `${job.shard} is in ${job.backup}`
  try {
    makeDirectory(part)
    const known = readPart(part, job.shard)
    if (known !== undefined) return describePart(known)
    const dump = join(place.dataDir, 'dump.rdb')
    const info = parseInfo(String(await place.command(['INFO'])))
    const needed = await estimate(dump, info)
    refuseFullDisk(job.directory, needed, what)
    if (!onSameDisk(job.directory, place.dataDir))
      refuseFullDisk(place.dataDir, needed, `the snapshot of ${place.node}`)
    const askedAt = await save(place, watch)
    const file = await take(job, part, dump, place, watch)
    refuseOlder(file, askedAt, place.node)
    keepPart(part, file.record)
    syncDirectory(part)
    return describePart(file.record)
  } catch (error) {
    throw explainDisk(error, job.directory, what)
  }
}

/** What the last snapshot took, grown as the memory has since; without one, what the data takes in memory. */
async function estimate(dump: string, info: ReadonlyMap<string, string>): Promise<number> {
  const dataset = infoNumber(info, 'used_memory_dataset')
  const size = statSync(dump, { throwIfNoEntry: false })?.size ?? 0
  if (size === 0) return dataset
  const file = await open(dump, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, 0)
    const before = parseRdbHead(buffer.subarray(0, bytesRead))?.memoryBytes ?? null
    if (before === null || before === 0) return dataset
    return Math.min(dataset, size * Math.max(1, infoNumber(info, 'used_memory') / before)) * margin
  } finally {
    await file.close()
  }
}

/** Lets the engine save, and waits until it has. Answers when it was asked, in seconds since 1970. */
async function save(place: SnapshotPlace, watch: Watch): Promise<number> {
  const { node, command, lastWords, wallNow } = place
  for (;;) {
    // One that runs already began before we asked, and is not ours.
    await untilIdle(command, watch)
    const askedAt = Math.floor(wallNow() / 1000)
    if (!(await beginSave(command))) continue
    const info = await untilIdle(command, watch)
    if (info.get('rdb_last_bgsave_status') !== 'ok') throw refusedSave(node, lastWords())
    // What was put off behind a rewrite of the append-only file may not have begun yet.
    if (infoNumber(info, 'rdb_last_save_time') >= askedAt) return askedAt
  }
}

/** False: something else began to save just then. */
async function beginSave(command: Command): Promise<boolean> {
  try {
    await command(['BGSAVE', 'SCHEDULE'], 10_000)
    return true
  } catch (error) {
    if (error instanceof HoldfastError && /in progress/i.test(error.message)) return false
    throw error
  }
}

function refusedSave(node: string, said: string): HoldfastError {
  const isFull = /no space left/i.test(said)
  const remedy = isFull ? 'Free some space on the disk of its data.' : 'Mend what it says, and take the backup again.'
  return new HoldfastError(
    isFull ? 'HOST_DISK_FULL' : 'ENGINE_REFUSED',
    `${node} could not save a snapshot: ${said}. ${remedy}`,
    { node, said },
  )
}

async function untilIdle(command: Command, watch: Watch): Promise<ReadonlyMap<string, string>> {
  for (;;) {
    watch.guard()
    const info = parseInfo(String(await command(['INFO', 'persistence'], 10_000)))
    const fields = ['rdb_bgsave_in_progress', 'aof_rewrite_in_progress', 'aof_rewrite_scheduled']
    if (!fields.some((field) => info.get(field) === '1')) return info
    await delay(pollMs)
  }
}

interface Taken {
  readonly record: BackupFile
  readonly writtenAt: number | null
}

async function take(
  job: SnapshotJob,
  part: string,
  dump: string,
  { node, engine, wallNow, writer }: SnapshotPlace,
  watch: Watch,
): Promise<Taken> {
  const file = `${job.shard}.rdb`
  // A process that was paused in the middle may still write to its own draft, and to no other.
  const draft = join(part, `${file}.${writer}`)
  try {
    const { bytes, sha256, head: bytesOfHead } = await linkOrCopy(dump, draft, rdbHeadBytes, watch)
    const head = parseRdbHead(bytesOfHead)
    if (head === undefined) {
      throw new HoldfastError('ENGINE_REFUSED', `what ${node} saved is no snapshot: ${dump} does not begin like one`, {
        node,
      })
    }
    watch.guard()
    if (!job.mayKeep && statSync(dump, { throwIfNoEntry: false })?.size === bytes) rmSync(dump, { force: true })
    renameSync(draft, join(part, file))
    const { format, version, keys, ttls, replid, offset, memoryBytes, writtenAt } = head
    const takenFrom = { node, role: job.role, engine, at: Math.round(wallNow()) }
    const slots = job.slots.map(([from, to]): [number, number] => [from, to])
    const measured = { bytes, sha256, keys, ttls, replid, offset, memoryBytes }
    return { record: { shard: job.shard, file, slots, rdb: { format, version }, ...measured, takenFrom }, writtenAt }
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}

/** The engine's clock and ours are one, but it counts whole seconds. */
function refuseOlder({ writtenAt }: Taken, askedAt: number, node: string): void {
  if (writtenAt === null || writtenAt >= askedAt - 1) return
  throw new HoldfastError('ENGINE_REFUSED', `${node} has not saved what it was asked to: its snapshot is from before`, {
    node,
  })
}
