/**
 * Which node of a Cluster has which slots. Now and then another primary is asked; several nodes several times a second
 * while something looks wrong, replicas as well, because one of them is the next primary. Each answer is weighed as it
 * comes, and nobody waits for the slowest.
 */
import type { Clock } from '../clock.ts'
import { type ClusterAnswer, clusterQuestion, isBetter, readClusterAnswer } from './cluster-answers.ts'
import type { Address, Ask, Layout, Topology } from './topology.ts'

export interface ClusterPorts {
  /** Where to start. Some may be dead. */
  readonly seeds: readonly Address[]
  readonly ask: Ask
  readonly clock: Clock
}

const askWithinMs = 300
const suspectForMs = 1000
const askedWhenSuspect = 3
/**
 * For how long answers of an older epoch are taken for the past. After that, if nobody says otherwise, it is another
 * Cluster at the same addresses, which counts from the start.
 */
const pastForMs = 5000

export function clusterTopology(ports: ClusterPorts): Topology {
  return new ClusterTopology(ports)
}

class ClusterTopology implements Topology {
  readonly #ports: ClusterPorts
  readonly #listeners: ((layout: Layout, because: string) => void)[] = []
  #layout: Layout | undefined
  /** When the last look began, and whether one is under way. */
  #beganAt = Number.NEGATIVE_INFINITY
  #looking = false
  #suspectUntil = Number.NEGATIVE_INFINITY
  /** When somebody last said what is known, or something newer. */
  #confirmedAt = 0
  /** Nobody in the layout has answered the last look. */
  #alone = false
  #turn = 0
  /** One question at a time to each of those that were named. */
  readonly #consulted = new Set<string>()
  #stopNext: (() => void) | undefined
  #nextAt = 0
  #closed = false

  constructor(ports: ClusterPorts) {
    this.#ports = ports
    void this.#look('the first look')
  }

  get layout(): Layout | undefined {
    return this.#layout
  }

  onChange(listener: (layout: Layout, because: string) => void): void {
    this.#listeners.push(listener)
  }

  suspect(because: string): void {
    if (this.#closed) return
    const now = this.#ports.clock.monotonic()
    this.#suspectUntil = now + suspectForMs
    // A look that is under way began before this news: the next one comes soon after it.
    if (this.#looking) return
    const { clock } = this.#ports
    const gap = this.#beganAt + 100 + 100 * clock.random() - now
    if (gap <= 0) void this.#look(because)
    else if (this.#nextAt > now + gap) this.#lookIn(gap, because)
  }

  consult(whom: readonly Address[], because: string): void {
    for (const address of whom) void this.#consult(address, because)
  }

  close(): void {
    this.#closed = true
    this.#stopNext?.()
    this.#listeners.length = 0
  }

  async #look(because: string): Promise<void> {
    this.#stopNext?.()
    this.#stopNext = undefined
    const { ask, clock } = this.#ports
    this.#looking = true
    this.#beganAt = clock.monotonic()
    let answers = 0
    let doubtful: Layout | undefined
    await Promise.allSettled(
      this.#whomToAsk().map(async (address) => {
        const answer = readClusterAnswer(await ask(address, clusterQuestion, askWithinMs), address)
        if (answer === undefined || this.#closed) return
        answers++
        if (this.#layout === undefined && !answer.ok) doubtful = answer.layout
        else this.#weigh(answer, because)
      }),
    )
    this.#looking = false
    // Everybody says that the Cluster does not work: better that than not to know where to wait.
    if (this.#layout === undefined && doubtful !== undefined && !this.#closed) this.#publish(doubtful, because)
    this.#alone = answers === 0
    if (this.#closed) return
    const now = clock.monotonic()
    const soon = this.#layout === undefined || this.#alone || now < this.#suspectUntil
    if (soon) this.#lookIn(Math.max(0, this.#beganAt + 100 + 100 * clock.random() - now), because)
    else this.#lookIn(2000 + 3000 * clock.random(), 'a look round')
  }

  #weigh(answer: ClusterAnswer, because: string): void {
    const now = this.#ports.clock.monotonic()
    const known = this.#layout
    if (known === undefined || isBetter(answer, known)) this.#publish(answer.layout, because)
    else if (answer.ok && answer.layout.epoch === known.epoch) this.#confirmedAt = now
    else if (answer.ok && now - this.#confirmedAt > pastForMs) this.#publish(answer.layout, `${because}: a new count`)
  }

  /** Never rejects: one that does not answer has said nothing. */
  async #consult(address: Address, because: string): Promise<void> {
    const name = `${address.host}:${address.port}`
    if (this.#closed || this.#layout === undefined || this.#consulted.has(name)) return
    this.#consulted.add(name)
    try {
      const answer = readClusterAnswer(await this.#ports.ask(address, clusterQuestion, askWithinMs), address)
      if (answer !== undefined && !this.#closed) this.#weigh(answer, because)
    } catch {
      // The looks go on without it.
    } finally {
      this.#consulted.delete(name)
    }
  }

  #lookIn(ms: number, because: string): void {
    const { clock } = this.#ports
    this.#stopNext?.()
    this.#nextAt = clock.monotonic() + ms
    this.#stopNext = clock.after(ms, () => void this.#look(because))
  }

  #whomToAsk(): readonly Address[] {
    const { seeds, clock } = this.#ports
    if (this.#layout === undefined) return seeds
    const { shards } = this.#layout
    const primaries = shards.flatMap(({ primary }) => primary ?? [])
    const isSuspect = clock.monotonic() < this.#suspectUntil
    if (!isSuspect && !this.#alone) return [primaries[this.#turn++ % primaries.length] as Address]
    const all = [...primaries, ...shards.flatMap(({ replicas }) => replicas)]
    const start = Math.floor(clock.random() * all.length)
    const some = Array.from(
      { length: Math.min(askedWhenSuspect, all.length) },
      (_, at) => all[(start + at) % all.length],
    )
    const asked = some.flatMap((address) => address ?? [])
    return this.#alone ? [...asked, ...seeds.filter((seed) => !asked.some((other) => isSame(seed, other)))] : asked
  }

  #publish(layout: Layout, because: string): void {
    this.#layout = layout
    this.#confirmedAt = this.#ports.clock.monotonic()
    for (const listener of this.#listeners) listener(layout, because)
  }
}

const isSame = (a: Address, b: Address): boolean => a.host === b.host && a.port === b.port
