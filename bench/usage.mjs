// @ts-check
/** What processes take, as the kernel counts it. */
import { readFileSync } from 'node:fs'

/** What the kernel counts CPU time in. */
const tickMs = 10

/** CPU time of all threads of a process. @param {number} pid */
export function cpuMs(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * tickMs
}

/**
 * @param {number} pid
 * @param {'VmRSS' | 'VmHWM'} field
 */
export function memoryMb(pid, field) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024
}
