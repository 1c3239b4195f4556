import { readFileSync, rmSync } from 'node:fs'
import type { ProcessFacts } from '../proc.ts'
import { bootId, readProcess } from '../proc.ts'
import { writeAtomically } from '../write-file.ts'
import { onDisk } from './disk-error.ts'
import type { Home } from './home.ts'

/** How a command finds the controller of this home, and proves that it may ask. */
export interface ControllerRecord {
  readonly id: string
  readonly pid: number
  /** When the process started, in the kernel's ticks since boot: a pid alone may have been given to somebody else. */
  readonly startTime: number
  readonly bootId: string
  readonly url: string
  /** Proves to the controller that the caller can read this file. */
  readonly token: string
  /** Wall clock, ms since 1970: for people. */
  readonly startedAt: number
}

export interface ControllerFound extends ControllerRecord {
  /** Stopped by a signal: it is there, and does not answer until it is continued. */
  readonly stopped: boolean
}

export function writeController(home: Pick<Home, 'controllerFile'>, record: ControllerRecord): void {
  onDisk(home.controllerFile, () => writeAtomically(home.controllerFile, `${JSON.stringify(record)}\n`))
}

/** The controller that runs on this home, or undefined: no file, or its process is gone, or was of another boot. */
export function readController(home: Pick<Home, 'controllerFile'>): ControllerFound | undefined {
  const record = readRecord(home.controllerFile)
  const stat = record === undefined ? undefined : statOf(record)
  if (record === undefined || stat === undefined) return undefined
  return { ...record, stopped: stat.state === 'T' || stat.state === 't' }
}

/** The controller that was here last, if its process is gone for certain: what it held is nobody's any more. */
export function readDeadController(home: Pick<Home, 'controllerFile'>): ControllerRecord | undefined {
  const record = readRecord(home.controllerFile)
  return record !== undefined && statOf(record) === undefined ? record : undefined
}

function statOf({ bootId: boot, pid, startTime }: ControllerRecord): ProcessFacts | undefined {
  if (boot !== bootId()) return undefined
  const stat = readProcess(pid)
  return stat === undefined || stat.startTime !== startTime || 'ZX'.includes(stat.state) ? undefined : stat
}

/** Takes the file away, if it is still this controller's. */
export function removeController(home: Pick<Home, 'controllerFile'>, id: string): void {
  if (readRecord(home.controllerFile)?.id === id) onDisk(home.controllerFile, () => rmSync(home.controllerFile))
}

function readRecord(path: string): ControllerRecord | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    return onDisk(path, () => {
      throw error
    })
  }
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : undefined
  } catch {
    // Written by atomic rename, so it is never half there: this is somebody else's file, and no controller's.
    return undefined
  }
}

function isRecord(value: unknown): value is ControllerRecord {
  if (typeof value !== 'object' || value === null) return false
  const fields = new Map<string, unknown>(Object.entries(value))
  return (
    ['id', 'bootId', 'url', 'token'].every((key) => typeof fields.get(key) === 'string') &&
    ['pid', 'startTime', 'startedAt'].every((key) => Number.isSafeInteger(fields.get(key)))
  )
}
