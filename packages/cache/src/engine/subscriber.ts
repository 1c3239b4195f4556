/**
 * Channels of all subscriptions over one connection of their own, to any node that lives: an engine ends the connection
 * of a subscriber that reads too slowly, which must not be the one with the data. After a loss the next node is tried.
 * A gap is told twice: when messages begin to be missed, and when they no longer are and it is time to look again.
 */
import type { Clock } from '../clock.ts'
import { CacheError } from '../errors.ts'
import { pauseMs } from './backoff.ts'
import { asReplyError, Connection, type ConnectionTerms, type Protocol } from './connection.ts'
import type { Message, Subscription } from './engine.ts'
import type { Address } from './topology.ts'

export interface Listening {
  message(message: Message): void
  gap(because: string): void
}

export interface SubscriberPorts {
  readonly clock: Clock
  readonly terms: Omit<ConnectionTerms, 'address'>
  /** Who can be listened to, best first. */
  readonly candidates: () => readonly Address[]
}

interface Subscribed {
  readonly channels: readonly string[]
  readonly hear: Listening
  /** Set until the engine has confirmed it for the first time. */
  begun: (() => void) | undefined
}

const reconnectBackoff = { fromMs: 50, toMs: 500 }
const firstWithinMs = 5000
const pingEveryMs = 500
const silentMs = 1000

export class Subscriber {
  readonly #ports: SubscriberPorts
  readonly #all = new Set<Subscribed>()
  #connection: Connection | undefined
  #address: Address | undefined
  #busy = false
  #failures = 0
  #protocol: Protocol = 'plain'
  #stopTimer: (() => void) | undefined
  #closed = false

  constructor(ports: SubscriberPorts) {
    this.#ports = ports
  }

  subscribe(channels: readonly string[], hear: Listening): Promise<Subscription> {
    return new Promise((resolve, reject) => {
      const tooLate = this.#ports.clock.after(firstWithinMs, () => {
        this.#all.delete(subscribed)
        reject(new CacheError('UNAVAILABLE', `no node could be listened to within ${firstWithinMs} ms`))
      })
      const subscribed: Subscribed = {
        channels,
        hear,
        begun: () => {
          tooLate()
          subscribed.begun = undefined
          resolve({ close: () => this.#end(subscribed) })
        },
      }
      this.#all.add(subscribed)
      const connection = this.#connection
      if (connection === undefined) this.#connect()
      else
        void this.#listen(connection, channels).then(
          () => subscribed.begun?.(),
          () => this.#drop('SUBSCRIBE failed'),
        )
    })
  }

  /** The layout has changed: whoever is not part of it any more is not listened to. */
  look(because: string): void {
    const at = this.#address
    if (this.#connection === undefined || at === undefined) return
    const isThere = this.#ports.candidates().some(({ host, port }) => host === at.host && port === at.port)
    if (!isThere) this.#drop(because)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stopTimer?.()
    this.#all.clear()
    const connection = this.#connection
    this.#connection = undefined
    connection?.close()
  }

  async #end(subscribed: Subscribed): Promise<void> {
    if (!this.#all.delete(subscribed)) return
    const connection = this.#connection
    if (connection === undefined) return
    if (this.#all.size === 0) {
      this.#connection = undefined
      this.#stopTimer?.()
      connection.close()
      return
    }
    const unwanted = subscribed.channels.filter((channel) => !this.#channels().has(channel))
    if (unwanted.length > 0) await connection.unsubscribe(unwanted).catch(() => {})
  }

  #channels(): Set<string> {
    return new Set([...this.#all].flatMap(({ channels }) => channels))
  }

  #connect(): void {
    if (this.#busy || this.#closed || this.#all.size === 0) return
    this.#stopTimer?.()
    const candidates = this.#ports.candidates()
    // Not the one that just failed, if there is another.
    const address = candidates[this.#failures % Math.max(1, candidates.length)]
    if (address === undefined) {
      this.#retry()
      return
    }
    this.#busy = true
    const { clock, terms } = this.#ports
    const connection: Connection = new Connection({ ...terms, address }, this.#protocol, {
      lost: (error) => {
        if (this.#connection === connection) this.#drop(error.message)
      },
      changed() {},
    })
    const before = this.#channels()
    connection
      .open(clock, this.#protocol)
      .then(() => this.#listen(connection, [...before]))
      .then(
        () => {
          this.#busy = false
          this.#begun(connection, address)
        },
        (error: unknown) => {
          this.#busy = false
          connection.close()
          if (asReplyError(error) !== undefined && asReplyError(error)?.word !== 'WRONGPASS') this.#protocol = 'old'
          this.#retry()
        },
      )
  }

  #begun(connection: Connection, address: Address): void {
    if (this.#closed || this.#all.size === 0 || !connection.isOpen) {
      connection.close()
      this.#retry()
      return
    }
    this.#connection = connection
    this.#address = address
    this.#failures = 0
    this.#watch(connection)
    // Those who came while it was opened are not yet among its channels.
    void this.#listen(connection, [...this.#channels()]).then(
      () => {
        for (const subscribed of this.#all) {
          if (subscribed.begun === undefined) subscribed.hear.gap('listening again')
          else subscribed.begun()
        }
      },
      () => this.#drop('SUBSCRIBE failed'),
    )
  }

  readonly #heard = (text: string, channel: string): void => {
    for (const { channels, hear } of this.#all) if (channels.includes(channel)) hear.message({ channel, text })
  }

  /** Twice is once: the library keeps one listener for each channel. */
  #listen(connection: Connection, channels: readonly string[]): Promise<void> {
    return connection.subscribe(channels, this.#heard)
  }

  #drop(because: string): void {
    const connection = this.#connection
    if (connection === undefined) return
    this.#connection = undefined
    this.#failures++
    connection.close()
    for (const subscribed of this.#all) if (subscribed.begun === undefined) subscribed.hear.gap(because)
    this.#retry()
  }

  #retry(): void {
    if (this.#closed || this.#all.size === 0) return
    const { clock } = this.#ports
    this.#stopTimer?.()
    this.#stopTimer = clock.after(pauseMs(this.#failures++, reconnectBackoff, clock.random()), () => this.#connect())
  }

  #watch(connection: Connection): void {
    const { clock } = this.#ports
    this.#stopTimer?.()
    this.#stopTimer = clock.after(pingEveryMs, () => {
      if (this.#connection !== connection) return
      this.#stopTimer = clock.after(silentMs, () => {
        if (this.#connection === connection) this.#drop(`nothing was heard for ${silentMs} ms`)
      })
      connection.send(['PING'], false).then(
        () => {
          if (this.#connection === connection) this.#watch(connection)
        },
        () => {},
      )
    })
  }
}
