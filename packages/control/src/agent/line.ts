/** The line to the agent of another machine: mutual TLS, and nothing is said before it is known who listens. */
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { HoldfastError } from '@holdfast/core'
import { answeredError, bytesOf } from '../answer-text.ts'
import type { Clock } from '../clock.ts'
import { KeptConnections } from './kept-connections.ts'
import type { Credentials } from './mutual-tls.ts'
import { refusalOf } from './mutual-tls.ts'
import { octets, toJson } from './server.ts'

export interface LineOptions {
  /** The name of the host, as its certificate says it. */
  readonly id: string
  readonly address: string
  readonly port: number
  readonly clock: Clock
  readonly credentials: () => Credentials
}

export interface Asked {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly body?: unknown
  /** In place of a body: a piece of a file. */
  readonly piece?: Uint8Array
  readonly headers?: Readonly<Record<string, string>>
  readonly withinMs: number
}

export class AgentLine {
  readonly #options: LineOptions
  readonly #connections: KeptConnections
  readonly #over = new AbortController()
  #heardAt = Number.NEGATIVE_INFINITY

  constructor(options: LineOptions) {
    this.#options = options
    this.#connections = new KeptConnections(options.credentials)
  }

  /** When anything at all came from it last, by the clock of this process. */
  get heardAt(): number {
    return this.#heardAt
  }

  /** Something came from it just now. */
  heard(): void {
    this.#heardAt = this.#options.clock.now()
  }

  /** Fires when this is closed. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  close(): void {
    this.#over.abort()
    this.#connections.close()
  }

  /** What it answers. Throws what it refuses with, and UNREACHABLE_AGENT. */
  ask(asked: Asked): Promise<unknown> {
    return this.#reach(asked, jsonIn)
  }

  /** The same, where it answers bytes. */
  read(asked: Asked): Promise<Uint8Array> {
    return this.#reach(asked, (bytes) => bytes)
  }

  async #reach<Read>(asked: Asked, read: (bytes: Buffer) => Read): Promise<Read> {
    const signal = AbortSignal.any([this.#over.signal, AbortSignal.timeout(asked.withinMs)])
    try {
      const answer = await this.send(asked, signal)
      const bytes = await bytesOf(answer)
      this.heard()
      if (answer.statusCode === 200) return read(bytes)
      throw answeredError(jsonIn(bytes)) ?? new Error(`status ${answer.statusCode}`)
    } catch (error) {
      if (error instanceof HoldfastError) throw error
      const { id, address, port } = this.#options
      const because = `the agent of ${id} (${address}:${port}) does not answer: ${messageOf(error)}`
      throw new HoldfastError('UNREACHABLE_AGENT', because, { host: id, address, port }, error)
    }
  }

  /** The beginning of its answer, whatever its status. */
  send({ method, path, body, piece, headers: told = {} }: Asked, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { id, address, port } = this.#options
      const said = piece ?? (body === undefined ? undefined : toJson(body))
      const type = piece === undefined ? 'application/json' : octets
      const headers =
        said === undefined ? {} : { ...told, 'content-type': type, 'content-length': Buffer.byteLength(said) }
      const asked = request(
        {
          method,
          path,
          headers,
          host: address,
          port,
          signal,
          checkServerIdentity: (_name, { subjectaltname }) => refusalOf(subjectaltname, 'host', id),
          ...this.#connections.terms(),
        },
        resolve,
      )
      asked.once('error', reject)
      // Nothing is said before it is known who listens.
      asked.once('socket', (socket) => {
        const say = (): void => void asked.end(said)
        if ((socket as TLSSocket).authorized) say()
        else socket.once('secureConnect', say)
      })
    })
  }
}

function jsonIn(bytes: Buffer): unknown {
  const text = bytes.toString('utf8')
  return text === '' ? {} : JSON.parse(text)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
