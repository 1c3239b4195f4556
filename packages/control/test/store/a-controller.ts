import { bootId, readProcess } from '../../src/proc.ts'
import type { ControllerRecord } from '../../src/store/controller-file.ts'

/** A controller file that says that this very process is the controller. */
export const aController = (over: Partial<ControllerRecord> = {}): ControllerRecord => ({
  id: 'controller-1',
  pid: process.pid,
  startTime: readProcess(process.pid)?.startTime ?? 0,
  bootId: bootId(),
  url: 'http://127.0.0.1:7600',
  token: 'open-sesame',
  startedAt: 1_700_000_000_000,
  ...over,
})
