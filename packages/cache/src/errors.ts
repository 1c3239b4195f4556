/**
 * What went wrong, by what the caller should do about it. `docs/cache/errors.md` has the same codes; a test keeps both
 * equal.
 */
export const cacheErrors = {
  /** The call or the options are wrong: mend the code. */
  INVALID: { retry: false },
  /** The value is larger than `maxValueBytes`: store less, or raise the limit. */
  TOO_LARGE: { retry: false },
  /** The value cannot be encoded: choose another codec, or another value. */
  UNENCODABLE: { retry: false },
  /** The engine did not do it, and nothing was changed: try again later. */
  UNAVAILABLE: { retry: true },
  /** It may have been done: nobody answered, or too few copies did. Ask again with the same operation id, or look. */
  INDETERMINATE: { retry: true },
  /** The engine said no in words that time will not change, such as WRONGTYPE. */
  REFUSED: { retry: false },
  /** The engine does not let us in: mend user, password or ACL. */
  DENIED: { retry: false },
  /** The loader took longer than its hard deadline. */
  LOADER_TIMEOUT: { retry: true },
  /** Too many loads at once, and the queue for them is full: the source is protected. */
  OVERLOADED: { retry: true },
  /** The caller's own signal ended the call. */
  ABORTED: { retry: false },
  /** The cache was closed. */
  CLOSED: { retry: false },
} as const

export type CacheErrorCode = keyof typeof cacheErrors

/** The only error that the cache itself throws; a loader's error comes through as it is. */
export class CacheError extends Error {
  override readonly name = 'CacheError'
  readonly code: CacheErrorCode
  /** The values in the sentence. Never a password, never a cached value. */
  readonly facts: Readonly<Record<string, string | number | boolean>>

  constructor(
    code: CacheErrorCode,
    message: string,
    facts: Readonly<Record<string, string | number | boolean>> = {},
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.facts = facts
  }

  /** Whether the same call may succeed later. */
  get retry(): boolean {
    return cacheErrors[this.code].retry
  }
}

const engineCodes: ReadonlySet<CacheErrorCode> = new Set(['UNAVAILABLE', 'INDETERMINATE', 'REFUSED', 'DENIED'])

/** Whether the engine could not be asked, and not something else went wrong. */
export function isAway(error: unknown): boolean {
  return error instanceof CacheError && engineCodes.has(error.code)
}
