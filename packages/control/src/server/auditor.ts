import type { SpecText } from '@holdfast/core'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import type { AuditEntry, AuditLog } from '../store/audit-log.ts'
import { isAudited } from './access.ts'
import { actorOf } from './caller.ts'
import { withoutSecrets } from './without-secrets.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** A route writes here what it changed, where that is no deployment's spec. */
    change: { before?: unknown; after?: unknown }
    /** The spec as it was when the request came. */
    specBefore: SpecText | undefined
    /** Why it was not done: a code of the error table. */
    refusal: string | undefined
  }
}

/**
 * What came to nothing is written up to this many times in ten minutes for each caller, and counted after that: nobody
 * fills the log, so that what it had of others goes, by asking for what he may not. Who showed nothing is one caller.
 */
const vainMax = 100
const vainMs = 10 * 60_000

/** Of its body nothing is written: people type passwords into the field for the name. */
const signIn = 'POST /api/v1/session'

/** Writes one record for each call that changes something, however it ended, and for each that was not allowed. */
export class Auditor {
  readonly #log: AuditLog
  readonly #clock: Clock
  readonly #inVain = new Map<string, { since: number; count: number }>()
  #unwritten = 0

  constructor(log: AuditLog, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** `after` is the spec as it is now. */
  record(request: FastifyRequest, status: number, after: SpecText | undefined): void {
    const { caller, method, routeOptions } = request
    const what = `${method} ${routeOptions.url ?? ''}`
    const isDenied = status === 401 || status === 403 || status === 429
    if (!isAudited(what) && !(isDenied && caller.kind !== 'nobody')) return
    if (status >= 400 && this.#isTooOften(`${caller.kind} ${actorOf(caller)}`)) {
      this.#unwritten++
      return
    }
    const told = 'after' in request.change ? request.change : differences(request.specBefore, after)
    this.#write(request.log, {
      at: Math.round(this.#clock.wall()),
      who: caller.kind === 'user' || caller.kind === 'token' ? caller.actor.replace(/^token /, '') : '',
      kind: caller.kind,
      from: request.ip,
      what,
      on: Object.values((request.params ?? {}) as Record<string, string>)
        .map((part) => part.slice(0, 80))
        .join('/'),
      outcome: isDenied ? 'denied' : status >= 400 ? 'failed' : 'done',
      code: request.refusal ?? null,
      asked: what === signIn ? null : withoutSecrets(request.body ?? null),
      before: withoutSecrets(told.before),
      after: withoutSecrets(told.after),
      unwritten: this.#unwritten,
    })
  }

  #isTooOften(caller: string): boolean {
    const now = this.#clock.now()
    const known = this.#inVain.get(caller)
    const tally = known !== undefined && now - known.since <= vainMs ? known : { since: now, count: 0 }
    this.#inVain.set(caller, tally)
    return ++tally.count > vainMax
  }

  /** On the night when the disk is full, what must be done is done all the same; the controller's log has it then. */
  #write(log: FastifyBaseLogger, entry: AuditEntry): void {
    try {
      this.#log.append(entry)
      this.#unwritten = 0
    } catch (error) {
      this.#unwritten++
      log.error({ err: error, entry }, 'the audit log cannot be written')
    }
  }
}

/** Of a spec, what differs. */
function differences(before: SpecText | undefined, after: SpecText | undefined): { before: unknown; after: unknown } {
  const keys = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
  const changed = keys.filter((key) => JSON.stringify(before?.[key]) !== JSON.stringify(after?.[key]))
  if (changed.length === 0) return { before: null, after: null }
  const pick = (spec: SpecText | undefined) =>
    spec === undefined ? null : Object.fromEntries(changed.map((key) => [key, spec[key] ?? null]))
  return { before: pick(before), after: pick(after) }
}
