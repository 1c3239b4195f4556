import { ReplyError } from '../engine/engine.ts'

/**
 * What a command answers, before anybody asked for text or bytes: a Buffer is a string of the engine, a string is a
 * status such as OK.
 */
export type Reply = null | number | string | Buffer | ReplyError | Fields | ByProtocol | readonly Reply[]

/** Names and values: a flat list in the old protocol and in scripts, a map in the new one. */
export class Fields {
  readonly entries: readonly (readonly [name: Buffer, value: Reply])[]

  constructor(entries: readonly (readonly [name: Buffer, value: Reply])[]) {
    this.entries = entries
  }
}

/** What has one shape in scripts and in the old protocol (2), and another one over a connection of the new (3). */
export class ByProtocol {
  readonly two: Reply
  readonly three: Reply

  constructor(two: Reply, three: Reply) {
    this.two = two
    this.three = three
  }
}

export const text = (value: string): Buffer => Buffer.from(value)

/** A score or another number with a fraction. */
export function double(value: number): Reply {
  return new ByProtocol(text(formatDouble(value)), value)
}

export function formatDouble(value: number): string {
  if (value === Infinity) return 'inf'
  if (value === -Infinity) return '-inf'
  return Object.is(value, -0) ? '-0' : String(value)
}

/** The reply as a caller gets it over a connection. */
export function render(reply: Reply, bytes: boolean): unknown {
  if (Buffer.isBuffer(reply)) return bytes ? Buffer.from(reply) : reply.toString()
  if (reply instanceof ByProtocol) return render(reply.three, bytes)
  if (reply instanceof Fields) {
    return Object.fromEntries(reply.entries.map(([name, value]) => [name.toString(), render(value, bytes)]))
  }
  if (Array.isArray(reply)) return reply.map((part: Reply) => render(part, bytes))
  return reply
}

/** The reply as a script gets it: as in Lua a status is `{ ok }`, and there are neither maps nor fractions. */
export function forScript(reply: Reply): unknown {
  if (typeof reply === 'string') return { ok: reply }
  if (Buffer.isBuffer(reply)) return Buffer.from(reply)
  if (reply instanceof ByProtocol) return forScript(reply.two)
  if (reply instanceof Fields) return reply.entries.flatMap(([name, value]) => [name, forScript(value)])
  if (Array.isArray(reply)) return reply.map((part: Reply) => forScript(part))
  return reply
}

/** What a script returned, by the rules for Lua: false is nothing, true is 1, numbers lose their fraction. */
export function fromScript(value: unknown): Reply {
  if (value === undefined || value === null || value === false) return null
  if (value === true) return 1
  if (typeof value === 'number') return Math.trunc(value)
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'string') return text(value)
  if (Buffer.isBuffer(value) || value instanceof ReplyError) return value
  if (Array.isArray(value)) return value.map(fromScript)
  if (typeof value === 'object' && 'ok' in value && typeof value.ok === 'string') return value.ok
  throw new TypeError('a script answers null, booleans, numbers, strings, bytes, { ok } and lists of them')
}
