/**
 * A link that can be cut. It stands before one port and passes bytes on in both directions, until it is told to behave
 * like a network in trouble.
 */
import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import type { Address } from '../../packages/cache/src/engine/topology.ts'

type Direction = 'requests' | 'answers'

export interface CutProxy {
  /** What the client is given instead of the engine's address. */
  readonly address: Address
  /** How long every byte is under way, in each direction. Default 0; may be changed at any time. */
  delayMs: number
  /** How many connections were ever accepted. */
  readonly accepted: number
  /** How many connections are open. */
  readonly open: number
  /** Resets every connection and refuses further ones, as a host does whose process is gone. */
  readonly cut: () => void
  /** Resets every connection; further ones are welcome. */
  readonly reset: () => void
  /**
   * Connections stay, are accepted, and nothing comes through, as if a firewall dropped the packets: in both
   * directions, or only in one. What was sent meanwhile arrives after `heal`, because TCP would send it again.
   */
  readonly blackhole: (...directions: readonly Direction[]) => void
  /** Everything is as at the beginning, on the same port. */
  readonly heal: () => Promise<void>
  readonly close: () => void
}

export async function startCutProxy(target: Address): Promise<CutProxy> {
  const held = new Set<Direction>()
  const pairs = new Set<Pair>()
  let accepted = 0
  let delayMs = 0
  const world = { isHeld: (direction: Direction) => held.has(direction), delayMs: () => delayMs }
  const server = createServer({ noDelay: true }, (client) => {
    accepted++
    const pair = new Pair(client, connect({ ...target, noDelay: true }), world)
    pairs.add(pair)
    pair.onGone = () => pairs.delete(pair)
  })
  const port = await listen(server, 0)
  const reset = (): void => {
    for (const pair of pairs) pair.reset()
  }
  const cut = (): void => {
    if (server.listening) server.close()
    reset()
  }
  return {
    address: { host: '127.0.0.1', port },
    get delayMs() {
      return delayMs
    },
    set delayMs(ms) {
      delayMs = ms
    },
    get accepted() {
      return accepted
    },
    get open() {
      return pairs.size
    },
    cut,
    reset,
    blackhole(...directions) {
      for (const direction of directions.length === 0 ? (['requests', 'answers'] as const) : directions) {
        held.add(direction)
      }
    },
    async heal() {
      held.clear()
      for (const pair of pairs) pair.flow()
      if (!server.listening) await listen(server, port)
    },
    close: cut,
  }
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

interface World {
  readonly isHeld: (direction: Direction) => boolean
  readonly delayMs: () => number
}

/** One accepted connection and its way to the engine. */
class Pair {
  readonly #client: Socket
  readonly #engine: Socket
  readonly #lanes: readonly Lane[]
  onGone: () => void = () => undefined

  constructor(client: Socket, engine: Socket, world: World) {
    this.#client = client
    this.#engine = engine
    this.#lanes = [new Lane(client, engine, 'requests', world), new Lane(engine, client, 'answers', world)]
    for (const socket of [client, engine]) {
      // What went wrong is told to the other side by the reset; there is nobody here who could do more.
      socket.on('error', () => undefined)
      socket.once('close', () => this.reset())
    }
  }

  flow(): void {
    for (const lane of this.#lanes) lane.flow()
  }

  reset(): void {
    this.#client.resetAndDestroy()
    this.#engine.resetAndDestroy()
    for (const lane of this.#lanes) lane.close()
    this.onGone()
  }
}

/** One direction of a connection. Bytes keep their order whatever the delay was when each of them came. */
class Lane {
  readonly #direction: Direction
  readonly #to: Socket
  readonly #world: World
  readonly #under: { readonly dueAt: number; readonly bytes: Buffer }[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(from: Socket, to: Socket, direction: Direction, world: World) {
    this.#direction = direction
    this.#to = to
    this.#world = world
    from.on('data', (bytes: Buffer) => {
      this.#under.push({ dueAt: performance.now() + world.delayMs(), bytes })
      this.flow()
    })
  }

  flow(): void {
    clearTimeout(this.#timer)
    while (!this.#world.isHeld(this.#direction)) {
      const [next] = this.#under
      if (next === undefined) return
      const left = next.dueAt - performance.now()
      if (left > 0) {
        this.#timer = setTimeout(() => this.flow(), left)
        return
      }
      this.#under.shift()
      if (this.#to.writable) this.#to.write(next.bytes)
    }
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#under.length = 0
  }
}
