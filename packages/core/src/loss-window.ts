import type { Picture } from './picture.ts'
import type { Spec } from './spec.ts'

/**
 * What a power failure of every machine at once costs: what is in no file. It goes by what the engines do now, and not
 * by what the spec wants, where the two differ: a change of persistence takes its time.
 */
export function diskLoss(picture: Picture, spec: Spec): string {
  const primaries = picture.shards.flatMap(({ primary }) => (primary === null ? [] : [primary]))
  const wantsLog = spec.persistence === 'aof' || spec.persistence === 'hybrid'
  const allLog = primaries.every(({ facts }) => facts === null || facts.disk.logs)
  if (wantsLog && allLog) return `power failure: ${logLoss(spec)}`
  const unfinished = wantsLog ? '; the change to a log is not done yet' : ''
  return spec.persistence === 'none'
    ? 'power failure: everything'
    : `power failure: all since the last snapshot${unfinished}`
}

/** `everysec` is on the disk after a second, or after two where the disk is busy. */
function logLoss(spec: Spec): string {
  switch (String(spec.config['appendfsync'] ?? 'everysec')) {
    case 'always':
      return 'nothing that was acknowledged'
    case 'no':
    case 'false':
      return 'what the operating system has not written yet, up to half a minute'
    default:
      return 'up to 2 s of writes'
  }
}
