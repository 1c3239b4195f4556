/**
 * Every way Holdfast can say no, in one table. The prefix of a code tells the caller what to do:
 * SPEC_ fix the input, REFUSED_ unsafe now and by design, UNREACHABLE_ try later, ENGINE_ the engine said no,
 * BACKUP_ choose another backup, HOST_ mend this machine, TIMEOUT_ not there yet, AUTH_ sign in. `docs/errors.md` explains each; a test keeps both equal.
 */
export const errorTable = {
  SPEC_INVALID: { status: 400, exit: 2, retry: false },
  SPEC_UNSUPPORTED: { status: 400, exit: 2, retry: false },
  SPEC_UNREADABLE: { status: 400, exit: 2, retry: false },
  SPEC_CONFLICT: { status: 409, exit: 2, retry: true },
  SPEC_IMMUTABLE: { status: 409, exit: 2, retry: false },
  TRACE_UNREADABLE: { status: 400, exit: 2, retry: false },
  USAGE: { status: 400, exit: 2, retry: false },
  NOT_FOUND: { status: 404, exit: 2, retry: false },
  REFUSED_STALE_EPOCH: { status: 409, exit: 3, retry: false },
  REFUSED_EXPIRED: { status: 409, exit: 3, retry: true },
  REFUSED_UNSAFE: { status: 409, exit: 3, retry: false },
  REFUSED_PLACEMENT: { status: 409, exit: 3, retry: false },
  REFUSED_ADOPTED: { status: 409, exit: 3, retry: false },
  REFUSED_TARGET: { status: 403, exit: 3, retry: false },
  REFUSED_DRILL: { status: 409, exit: 3, retry: true },
  REFUSED_NOT_CONFIRMED: { status: 409, exit: 3, retry: false },
  UNREACHABLE_CONTROLLER: { status: 503, exit: 4, retry: true },
  UNREACHABLE_AGENT: { status: 503, exit: 4, retry: true },
  UNREACHABLE_STORE: { status: 503, exit: 4, retry: true },
  UNREACHABLE_ENGINE: { status: 503, exit: 4, retry: true },
  ENGINE_MISSING: { status: 503, exit: 5, retry: false },
  ENGINE_TOO_OLD: { status: 409, exit: 5, retry: false },
  ENGINE_WITHOUT_TLS: { status: 409, exit: 5, retry: false },
  ENGINE_REFUSED: { status: 502, exit: 5, retry: false },
  ENGINE_START_FAILED: { status: 502, exit: 5, retry: true },
  BACKUP_UNREADABLE: { status: 409, exit: 11, retry: false },
  BACKUP_DAMAGED: { status: 409, exit: 11, retry: false },
  BACKUP_UNFIT: { status: 409, exit: 11, retry: false },
  DRILL_FAILED: { status: 409, exit: 9, retry: false },
  OPERATION_STOPPED: { status: 409, exit: 10, retry: false },
  TIMEOUT_NOT_READY: { status: 504, exit: 6, retry: true },
  HOST_PORT_IN_USE: { status: 409, exit: 7, retry: false },
  HOST_PROXY_MISSING: { status: 503, exit: 7, retry: false },
  HOST_ETCD_MISSING: { status: 503, exit: 7, retry: false },
  HOST_DISK_FULL: { status: 507, exit: 7, retry: true },
  HOST_READ_ONLY: { status: 507, exit: 7, retry: false },
  HOST_HOME_FOREIGN: { status: 409, exit: 7, retry: false },
  HOST_HOME_NEWER: { status: 409, exit: 7, retry: false },
  HOST_HOME_IN_USE: { status: 409, exit: 7, retry: false },
  AUTH_REQUIRED: { status: 401, exit: 8, retry: false },
  AUTH_FORBIDDEN: { status: 403, exit: 8, retry: false },
  AUTH_MISDIRECTED: { status: 421, exit: 8, retry: false },
  AUTH_THROTTLED: { status: 429, exit: 8, retry: true },
} as const

export type ErrorCode = keyof typeof errorTable

/** Values beside the sentence, for programs. Never a password, never a cached value. */
export type ErrorFacts = Readonly<Record<string, unknown>>

/** What happened, to what, and what to do. The code decides the HTTP status, the exit code and whether to try again. */
export class HoldfastError extends Error {
  readonly code: ErrorCode
  readonly facts: ErrorFacts

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'HoldfastError'
    this.code = code
    this.facts = facts
  }
}
