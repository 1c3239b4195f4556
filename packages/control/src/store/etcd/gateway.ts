/**
 * etcd's own HTTP gateway (`/v3`): the few questions that a store has, as JSON. One endpoint after the other is tried where
 * a connection is refused; what was sent once is not sent again, since nobody knows whether it was done.
 */
import type { IncomingMessage } from 'node:http'
import { request as plainRequest } from 'node:http'
import { request as secureRequest } from 'node:https'
import { createInterface } from 'node:readline'
import { HoldfastError } from '@holdfast/core'
import { textOf } from '../../answer-text.ts'

export interface EtcdTerms {
  /** Such as `https://10.0.0.1:2379`: members of one etcd. */
  readonly endpoints: readonly string[]
  /** By which both sides of a secure connection prove who they are, PEM. Absent: the system's authorities, and no proof of ours. */
  readonly tls?: { readonly authority: string; readonly certificate: string; readonly key: string }
}

export interface Entry {
  readonly key: string
  readonly value: string
  /** The revision of the whole of etcd at which it was last written: no two writes have the same. */
  readonly writtenAt: number
  /** The lease that it ends with; '0': none. */
  readonly lease: string
}

export type Condition =
  | { readonly key: string; readonly writtenAt: number }
  /** It was never written, or is gone. */
  | { readonly key: string; readonly absent: true }
  | { readonly key: string; readonly lease: string }

export type Write =
  | { readonly put: string; readonly value: string; readonly lease?: string }
  | { readonly remove: string }

export interface Change {
  readonly key: string
  /** Null: it is gone. */
  readonly entry: Entry | null
}

/** Throws UNREACHABLE_STORE where no member answers in time, or none has a majority. */
export class EtcdGateway {
  readonly #terms: EtcdTerms
  readonly #withinMs: number
  /** Who answered last. */
  #at = 0

  constructor(terms: EtcdTerms, withinMs = 1500) {
    this.#terms = terms
    this.#withinMs = withinMs
  }

  /** All below a prefix, as of one moment. */
  async read(prefix: string): Promise<{ readonly entries: readonly Entry[]; readonly revision: number }> {
    const answer = (await this.#ask('/v3/kv/range', {
      key: encode(prefix),
      range_end: encode(after(prefix)),
    })) as Ranged
    return { entries: (answer.kvs ?? []).map(entryOf), revision: Number(answer.header.revision) }
  }

  /** All writes where all conditions hold, else none. Answers at which revision; undefined where one did not hold. */
  async writeIf(conditions: readonly Condition[], writes: readonly Write[]): Promise<number | undefined> {
    const body = { compare: conditions.map(conditionOf), success: writes.map(writeOf) }
    const answer = (await this.#ask('/v3/kv/txn', body)) as { succeeded?: boolean; header: Header }
    return answer.succeeded === true ? Number(answer.header.revision) : undefined
  }

  /** A lease of so many whole seconds, counted by etcd. */
  async grant(seconds: number): Promise<{ readonly id: string; readonly seconds: number }> {
    const { ID, TTL } = (await this.#ask('/v3/lease/grant', { TTL: seconds })) as { ID: string; TTL: string }
    return { id: ID, seconds: Number(TTL) }
  }

  /** For how many seconds it holds from now on; 0: it is over. */
  async keepAlive(lease: string): Promise<number> {
    const { result } = (await this.#ask('/v3/lease/keepalive', { ID: lease })) as { result?: { TTL?: string } }
    return Number(result?.TTL ?? 0)
  }

  async revoke(lease: string): Promise<void> {
    await this.#ask('/v3/lease/revoke', { ID: lease }).catch((error: unknown) => {
      if (!isGone(error)) throw error
    })
  }

  /** What changes below a prefix after a revision, as it happens. Ends, or throws, when the connection does. */
  async *watch(prefix: string, afterRevision: number, signal: AbortSignal): AsyncGenerator<readonly Change[]> {
    const create = {
      key: encode(prefix),
      range_end: encode(after(prefix)),
      start_revision: afterRevision + 1,
      progress_notify: true,
    }
    const answer = await this.#send('/v3/watch', { create_request: create }, signal)
    try {
      for await (const line of createInterface({ input: answer })) {
        const { result, error } = JSON.parse(line) as Watched
        if (error !== undefined) throw new Error(error.message ?? 'the watch failed')
        // What was compacted away is not told any more: whoever watches reads all anew.
        if (result?.canceled === true) throw new Error(result.cancel_reason ?? 'the watch was cancelled')
        yield (result?.events ?? []).map(changeOf)
      }
    } finally {
      answer.destroy()
    }
  }

  async #ask(path: string, body: unknown): Promise<unknown> {
    const signal = AbortSignal.timeout(this.#withinMs)
    try {
      const answer = await this.#send(path, body, signal)
      const text = await textOf(answer)
      if (answer.statusCode === 200) return JSON.parse(text)
      throw refusalIn(text, answer.statusCode ?? 0)
    } catch (error) {
      throw unreachable(this.#terms.endpoints, error)
    }
  }

  async #send(path: string, body: unknown, signal: AbortSignal): Promise<IncomingMessage> {
    const { endpoints } = this.#terms
    let refused: unknown
    for (const _ of endpoints) {
      const endpoint = endpoints[this.#at % endpoints.length] ?? ''
      try {
        return await send(new URL(path, endpoint), JSON.stringify(body), this.#terms, signal)
      } catch (error) {
        this.#at++
        refused = error
        if (!wasNotSent(error)) break
      }
    }
    throw refused
  }
}

interface Header {
  readonly revision: string
}
interface RawEntry {
  readonly key: string
  readonly value?: string
  readonly mod_revision: string
  readonly lease?: string
}
interface Ranged {
  readonly header: Header
  readonly kvs?: readonly RawEntry[]
}
interface RawChange {
  readonly type?: 'PUT' | 'DELETE'
  readonly kv: RawEntry
}
interface Watched {
  readonly result?: {
    readonly events?: readonly RawChange[]
    readonly canceled?: boolean
    readonly cancel_reason?: string
  }
  readonly error?: { readonly message?: string }
}

const encode = (text: string): string => Buffer.from(text).toString('base64')
const decode = (text: string | undefined): string => Buffer.from(text ?? '', 'base64').toString('utf8')

/** The first key that does not begin with this prefix. Prefixes are ASCII and end with '/'. */
const after = (prefix: string): string =>
  prefix.slice(0, -1) + String.fromCodePoint((prefix.codePointAt(prefix.length - 1) ?? 0) + 1)

const entryOf = ({ key, value, mod_revision, lease }: RawEntry): Entry => ({
  key: decode(key),
  value: decode(value),
  writtenAt: Number(mod_revision),
  lease: lease ?? '0',
})

const changeOf = ({ type, kv }: RawChange): Change => ({
  key: decode(kv.key),
  entry: type === 'DELETE' ? null : entryOf(kv),
})

function conditionOf(condition: Condition): unknown {
  const key = encode(condition.key)
  if ('absent' in condition) return { key, target: 'CREATE', create_revision: '0', result: 'EQUAL' }
  if ('lease' in condition) return { key, target: 'LEASE', lease: condition.lease, result: 'EQUAL' }
  return { key, target: 'MOD', mod_revision: String(condition.writtenAt), result: 'EQUAL' }
}

function writeOf(write: Write): unknown {
  if ('remove' in write) return { request_delete_range: { key: encode(write.remove) } }
  const { put, value, lease } = write
  return { request_put: { key: encode(put), value: encode(value), ...(lease === undefined ? {} : { lease }) } }
}

function send(url: URL, body: string, { tls }: EtcdTerms, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const secure = tls === undefined ? {} : { ca: tls.authority, cert: tls.certificate, key: tls.key }
    const begin = url.protocol === 'https:' ? secureRequest : plainRequest
    const asked = begin(url, { method: 'POST', headers, signal, ...secure }, resolve)
    asked.once('error', reject)
    asked.end(body)
  })
}

/** The connection never came about, so nobody has heard the question. */
const wasNotSent = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && (error.syscall === 'connect' || error.syscall === 'getaddrinfo')

class EtcdRefusal extends Error {
  readonly grpcCode: number

  constructor(message: string, grpcCode: number) {
    super(message)
    this.name = 'EtcdRefusal'
    this.grpcCode = grpcCode
  }
}

function refusalIn(text: string, status: number): EtcdRefusal {
  try {
    const { error, message, code } = JSON.parse(text) as { error?: string; message?: string; code?: number }
    return new EtcdRefusal(message ?? error ?? `status ${status}`, code ?? 0)
  } catch {
    return new EtcdRefusal(`status ${status}`, 0)
  }
}

/** gRPC's word for what is not there. */
const notFound = 5

const isGone = (error: unknown): boolean =>
  error instanceof HoldfastError && error.cause instanceof EtcdRefusal && error.cause.grpcCode === notFound

function unreachable(endpoints: readonly string[], cause: unknown): HoldfastError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const because = `etcd (${endpoints.join(', ')}) does not answer: ${why}`
  return new HoldfastError('UNREACHABLE_STORE', because, { endpoints }, cause)
}
