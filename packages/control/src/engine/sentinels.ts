import type { Seen, SentinelFacts, SentinelPlace, SentinelWatch } from '@holdfast/core'
import { HoldfastError, parseInfo, parseWatch } from '@holdfast/core'
import { RedisClient } from '@redis/client'
import type { Clock } from '../clock.ts'
import type { SentinelPort } from './engine.ts'
import type { EngineLink } from './link.ts'
import { secured } from './link.ts'
import type { Credentials } from './reader.ts'
import { Reader, Readers } from './reader.ts'

interface Terms extends Credentials {
  /** What the Sentinels call the primary. */
  readonly masterName: string
}

/** Reads real Sentinels, and listens to them, as the user who may only read. */
export class Sentinels implements SentinelPort {
  readonly #terms: Terms
  readonly #readers: Readers<SentinelFacts>
  readonly #ears = new Map<string, Ear>()
  #news: (sentinel: string, channel: string, text: string) => void = () => {}

  constructor(clock: Clock, terms: Terms) {
    const { masterName, ...credentials } = terms
    const readFacts = (link: EngineLink) => readSentinel(link, masterName)
    this.#terms = terms
    this.#readers = new Readers(
      clock,
      (place, onChange) => new Reader({ place, credentials, clock, readFacts, onChange }),
    )
  }

  async look(
    sentinels: readonly SentinelPlace[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Seen<SentinelFacts>>> {
    const seen = await this.#readers.look(sentinels, signal)
    for (const place of sentinels) if (seen.get(place.id)?.kind === 'answered') this.#listenTo(place)
    return seen
  }

  onChange(listener: () => void): void {
    this.#readers.onChange(listener)
  }

  onNews(listener: (sentinel: string, channel: string, text: string) => void): void {
    this.#news = listener
  }

  close(): void {
    this.#readers.close()
    for (const ear of this.#ears.values()) ear.close()
    this.#ears.clear()
  }

  #listenTo(place: SentinelPlace): void {
    if (this.#ears.has(place.id)) return
    const ear = new Ear(place, this.#terms, {
      hear: (channel, text) => this.#news(place.id, channel, text),
      // The next look that finds it answering listens again.
      lost: () => this.#ears.delete(place.id),
    })
    this.#ears.set(place.id, ear)
  }
}

/** Made once: the library builds a class of all its commands for every new set of options. */
const protocol = { RESP: 2 } as const
const newClient = RedisClient.factory(protocol)

/** A connection that hears all that one Sentinel tells. */
class Ear {
  readonly #client: ReturnType<typeof newClient>
  #closed = false

  constructor(
    { address, port }: SentinelPlace,
    { username, password, authority }: Terms,
    on: { hear(channel: string, text: string): void; lost(): void },
  ) {
    const socket = {
      host: address,
      port,
      reconnectStrategy: false as const,
      connectTimeout: 1000,
      ...secured(authority),
    }
    this.#client = newClient({
      ...protocol,
      username,
      password: password(),
      socket,
      name: 'holdfast-ear',
      disableClientInfo: true,
    })
    this.#client.on('error', () => {})
    this.#client.on('end', () => on.lost())
    this.#client.on('terminated', () => on.lost())
    this.#client
      .connect()
      // Closed while it was on its way: the library brings it up all the same, and nobody else would close it.
      .then(() =>
        this.#closed ? this.#client.destroy() : this.#client.pSubscribe('*', (text, channel) => on.hear(channel, text)),
      )
      .catch(() => {
        this.close()
        on.lost()
      })
  }

  close(): void {
    this.#closed = true
    this.#client.removeAllListeners('end')
    this.#client.removeAllListeners('terminated')
    this.#client.destroy()
  }
}

/** What one Sentinel says of the primary that it calls by this name. */
export async function readSentinel(link: EngineLink, name: string): Promise<SentinelFacts> {
  // All are written in one go; those about the name are refused where it is not watched.
  const [sentinelId, info, watch] = await Promise.all([
    link.command(['SENTINEL', 'MYID'], null),
    link.command(['INFO', 'sentinel'], null),
    readWatch(link, name),
  ])
  const tilt = parseInfo(String(info)).get('sentinel_tilt') === '1'
  return { sentinelId: String(sentinelId), tilt, watch }
}

async function readWatch(link: EngineLink, name: string): Promise<SentinelWatch | null> {
  const ask = (question: string) => link.command(['SENTINEL', question, name], null)
  const quorum = ask('CKQUORUM').then(
    () => true,
    (error: unknown) => (isRefusal(error) ? false : Promise.reject(error)),
  )
  const told = Promise.all([ask('MASTER'), ask('REPLICAS'), ask('SENTINELS'), quorum])
  try {
    const [master, replicas, sentinels, quorumOk] = await told
    return parseWatch({ master, replicas, sentinels, quorumOk })
  } catch (error) {
    if (isRefusal(error)) return null
    throw error
  }
}

/** An answer, and a no. What we may not ask is no answer: nobody knows then. */
const isRefusal = (error: unknown): boolean =>
  error instanceof HoldfastError && error.code === 'ENGINE_REFUSED' && !isDenied(error)

const isDenied = ({ facts: { said } }: HoldfastError): boolean =>
  typeof said === 'string' && /^(NOPERM|NOAUTH|WRONGPASS)\b/.test(said)
