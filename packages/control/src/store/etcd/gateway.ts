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
  readonly tls?: Partial<Readonly<Record<'authority' | 'certificate' | 'key', string>>> | undefined
  /** Absent: etcd asks nobody who he is, or knows it by the certificate. */
  readonly user?: { readonly name: string; readonly password: string }
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
  /** The revision of the whole of etcd at which it happened. */
  readonly at: number
}

/** Throws UNREACHABLE_STORE where no member answers in time, or none has a majority. */
export class EtcdGateway {
  readonly #terms: EtcdTerms
  readonly #withinMs: number
  /** Who answered last. */
  #at = 0
  /** What etcd has given for the user's password, until it takes it no more. */
  #token: string | undefined

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
    const answer = (await this.#ask('/v3/kv/txn', body, 'once')) as { succeeded?: boolean; header: Header }
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

  /** The members of this etcd, as its majority knows them. */
  async members(): Promise<readonly Member[]> {
    // Asked of the majority: the list of one member alone may be old, and says nothing of a majority.
    await this.read('/')
    const { members } = (await this.#ask('/v3/cluster/member/list', {})) as { members?: readonly RawMember[] }
    return (members ?? []).map(memberOf)
  }

  async addMember(peerUrl: string): Promise<void> {
    await this.#ask('/v3/cluster/member/add', { peerURLs: [peerUrl] }, 'once')
  }

  async removeMember(id: string): Promise<void> {
    await this.#ask('/v3/cluster/member/remove', { ID: id }, 'once')
  }

  /**
   * What does no harm twice goes to one member after the other, so that one that is dead costs a part of the time. A
   * write is sent once: nobody could tell afterwards whether it was refused because it had been done before.
   */
  async #ask(path: string, body: unknown, how: 'once' | 'again' = 'again'): Promise<unknown> {
    const { endpoints } = this.#terms
    const tries = how === 'once' ? 1 : endpoints.length
    let failed: unknown
    for (let tried = 0; tried < tries; tried++) {
      const at = this.#at
      try {
        return await this.#answer(path, body, AbortSignal.timeout(this.#withinMs / tries))
      } catch (error) {
        failed = error
        if (error instanceof EtcdRefusal && !isOfOneMember(error)) break
        this.#passOver(at)
      }
    }
    throw unreachable(endpoints, failed)
  }

  async #answer(path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    for (let isSecond = false; ; isSecond = true) {
      const answer = await this.#send(path, body, signal)
      const text = await textOf(answer)
      if (answer.statusCode === 200) return JSON.parse(text)
      const refusal = refusalIn(text, answer.statusCode ?? 0)
      // A token is good for some minutes.
      if (isSecond || refusal.grpcCode !== unauthenticated || this.#token === undefined) throw refusal
      this.#token = undefined
    }
  }

  async #send(path: string, body: unknown, signal: AbortSignal): Promise<IncomingMessage> {
    const { endpoints, user } = this.#terms
    let refused: unknown
    for (const _ of endpoints) {
      const at = this.#at
      const endpoint = endpoints[at % endpoints.length] ?? ''
      const ask = (where: string, what: unknown): Promise<IncomingMessage> =>
        send({ url: new URL(where, endpoint), body: JSON.stringify(what), token: this.#token }, this.#terms, signal)
      try {
        if (user !== undefined) this.#token ??= tokenIn(await textOf(await ask('/v3/auth/authenticate', user)))
        return await ask(path, body)
      } catch (error) {
        refused = error
        if (!wasNotSent(error)) break
        this.#passOver(at)
      }
    }
    throw refused
  }

  /** Whoever noticed it first: two who were told the same must not pass over the next as well. */
  #passOver(at: number): void {
    if (this.#at === at) this.#at = at + 1
  }
}

export interface Member {
  readonly id: string
  readonly name: string
  readonly peerUrls: readonly string[]
  /** Empty: it has never been up. */
  readonly clientUrls: readonly string[]
}

interface RawMember {
  readonly ID: string
  readonly name?: string
  readonly peerURLs?: readonly string[]
  readonly clientURLs?: readonly string[]
}

const memberOf = ({ ID, name = '', peerURLs = [], clientURLs = [] }: RawMember): Member => ({
  id: ID,
  name,
  peerUrls: peerURLs,
  clientUrls: clientURLs,
})

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
  at: Number(kv.mod_revision),
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

interface Asked {
  readonly url: URL
  readonly body: string
  readonly token: string | undefined
}

function send({ url, body, token }: Asked, { tls }: EtcdTerms, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const proof = token === undefined ? {} : { authorization: token }
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...proof }
    const secure = tls === undefined ? {} : { ca: tls.authority, cert: tls.certificate, key: tls.key }
    const begin = url.protocol === 'https:' ? secureRequest : plainRequest
    const asked = begin(url, { method: 'POST', headers, signal, ...secure }, resolve)
    asked.once('error', reject)
    asked.end(body)
  })
}

function tokenIn(text: string): string {
  const { token } = JSON.parse(text) as { token?: string }
  if (token === undefined) throw refusalIn(text, 0)
  return token
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

/** gRPC's words: for what is not there, for who has not said who he is, and for what another member may do better. */
const notFound = 5
const unauthenticated = 16
const ofOneMember = [4, 14]

const isOfOneMember = ({ grpcCode }: EtcdRefusal): boolean => ofOneMember.includes(grpcCode)

const isGone = (error: unknown): boolean =>
  error instanceof HoldfastError && error.cause instanceof EtcdRefusal && error.cause.grpcCode === notFound

function unreachable(endpoints: readonly string[], cause: unknown): HoldfastError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const says = cause instanceof EtcdRefusal ? 'refuses' : 'does not answer'
  const because = `etcd (${endpoints.join(', ')}) ${says}: ${why}`
  return new HoldfastError('UNREACHABLE_STORE', because, { endpoints }, cause)
}
