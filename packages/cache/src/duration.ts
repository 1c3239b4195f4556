import { CacheError } from './errors.ts'

/** Milliseconds, or a number with its unit: `250`, `'250ms'`, `'30s'`, `'5m'`, `'12h'`, `'7d'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
/** A century: nothing above it is meant, and all of it is a safe integer in every unit that the engine knows. */
const longestMs = 36_525 * unitMs.d

/** Milliseconds, whole. `what` names the option in the error. */
export function durationMs(value: unknown, what: string): number {
  const ms = typeof value === 'number' ? value : parse(value)
  if (Number.isNaN(ms)) {
    throw new CacheError(
      'INVALID',
      `${what} is no duration: write milliseconds, or '250ms', '30s', '5m', '12h', '7d'`,
      { what },
    )
  }
  if (ms < 0 || ms > longestMs) {
    throw new CacheError('INVALID', `${what} is out of range: durations go from 0 to a century`, { what })
  }
  return Math.round(ms)
}

function parse(value: unknown): number {
  const found = typeof value === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value) : null
  return found === null ? Number.NaN : Number(found[1]) * unitMs[found[2] as keyof typeof unitMs]
}

/** Bytes, or a number with its unit: `1048576`, `'64kb'`, `'1mb'`; 1024 each. */
export type Bytes = number | `${number}${'b' | 'kb' | 'mb' | 'gb'}`

const unitBytes = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 } as const

export function bytesOf(value: unknown, what: string): number {
  const found = typeof value === 'string' ? /^(\d+(?:\.\d+)?)(b|kb|mb|gb)$/.exec(value) : null
  const bytes =
    typeof value === 'number'
      ? value
      : found === null
        ? Number.NaN
        : Number(found[1]) * unitBytes[found[2] as keyof typeof unitBytes]
  if (!Number.isFinite(bytes) || bytes < 0 || bytes > Number.MAX_SAFE_INTEGER) {
    throw new CacheError('INVALID', `${what} is no size: write bytes, or '64kb', '1mb', '2gb'`, { what })
  }
  return Math.round(bytes)
}

/** A whole number between two others; `what` names the option. */
export function countOf(value: unknown, what: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`
    throw new CacheError('INVALID', `${what} is a whole number: ${range}`, { what })
  }
  return value as number
}

/** A number between two others; `what` names the option. */
export function ratioOf(value: unknown, what: string, least: number, most: number): number {
  if (typeof value !== 'number' || !(value >= least && value <= most)) {
    throw new CacheError('INVALID', `${what} is a number from ${least} to ${most}`, { what })
  }
  return value
}
