/**
 * The partitions that this process may save.
 *
 * Every process that saves tells the engine that it lives and learns how many do; it takes free partitions up to its
 * fair share and gives back what is above it. A lease is renewed well before it ends. By our own clock it is counted
 * from when the renewal was sent, so that we give up before anybody else may begin.
 */
import type { Clock } from '../clock.ts'
import type { Engine } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import { askPartitions } from './ask.ts'
import { type Claim, type ClaimVerb, claimKeys, claimOf, claimScript, meetScript } from './claim-script.ts'
import type { Events } from './events.ts'
import type { Losses } from './losses.ts'
import type { Partition, Partitions } from './partitions.ts'

export interface LeasePorts {
  readonly engine: Engine
  readonly clock: Clock
  readonly events: Events
  readonly losses: Losses
  readonly partitions: Partitions
  /** The key under which the living processes are known. */
  readonly members: string
  /** This process, by a name that nobody else has. */
  readonly owner: string
  readonly leaseMs: number
}

interface Held {
  readonly partition: Partition
  readonly token: string
  /** By our monotonic clock: from then on somebody else may have it. */
  until: number
  /** Ends what is being done under it. */
  readonly lost: AbortController
}

export class Leases {
  readonly #ports: LeasePorts
  readonly #held = new Map<number, Held>()
  /** Until when it is no use to ask for a partition, by our monotonic clock. */
  readonly #takenUntil = new Map<number, number>()
  readonly #beatMs: number
  /** Shorter than the promise by one beat, so that who looks once a beat takes over within the promise. */
  readonly #termMs: number
  #born = 0
  #members = 1
  #beating: Promise<void> = Promise.resolve()
  #stopTimer: () => void = () => undefined
  #closed = false

  constructor(ports: LeasePorts) {
    this.#ports = ports
    this.#beatMs = Math.min(500, ports.leaseMs / 4)
    this.#termMs = Math.ceil(ports.leaseMs - this.#beatMs)
  }

  start(): void {
    const { events } = this.#ports
    const troubled = (error: unknown): void =>
      events.tell('trouble', { error, what: 'the leases could not be looked after' })
    this.#beating = this.#beat()
      .catch(troubled)
      .then(() => {
        if (!this.#closed) this.#stopTimer = this.#ports.clock.after(this.#beatMs, () => this.start())
      })
  }

  /** Resolves when the first beat is done. */
  get settled(): Promise<void> {
    return this.#beating
  }

  /** What may be saved at this moment. */
  owned(): readonly Partition[] {
    return [...this.#held.values()].filter((held) => this.#stillHeld(held)).map(({ partition }) => partition)
  }

  /** Aborted as soon as the partition is known to be lost; undefined if it is not ours. */
  signal(partition: Partition): AbortSignal | undefined {
    const held = this.#held.get(partition.number)
    return held !== undefined && this.#stillHeld(held) ? held.lost.signal : undefined
  }

  /** Somebody answered that the partition has another owner. */
  lose(partition: Partition, because: string): void {
    const held = this.#held.get(partition.number)
    if (held === undefined) return
    this.#held.delete(partition.number)
    held.lost.abort(new CacheError('ABORTED', `partition ${partition.number}: ${because}`))
    this.#ports.events.tell('lostOwnership', { partition: partition.number, because })
  }

  token(partition: Partition): string | undefined {
    return this.#held.get(partition.number)?.token
  }

  /** Gives everything back, so that others need not wait for the leases to end. */
  async close(): Promise<void> {
    this.#closed = true
    this.#stopTimer()
    await this.#beating
    const held = [...this.#held.values()]
    this.#held.clear()
    for (const { lost } of held) lost.abort(new CacheError('CLOSED', 'the write-behind is closed'))
    await Promise.allSettled([this.#claim('release', held), this.#meet('leave')])
  }

  async #beat(): Promise<void> {
    const { clock } = this.#ports
    await this.#meet('stay')
    await this.#renew()
    if (this.#closed) return
    const share = Math.ceil(this.#ports.partitions.all.length / this.#members)
    const surplus = [...this.#held.values()].slice(share)
    for (const { partition, lost } of surplus) {
      this.#held.delete(partition.number)
      // Whoever comes next should not be asked for it by us again at once.
      this.#takenUntil.set(partition.number, clock.monotonic() + this.#termMs)
      lost.abort(new CacheError('ABORTED', `partition ${partition.number} was handed over`))
    }
    await this.#claim('release', surplus)
    await this.#acquire(share - this.#held.size)
  }

  async #renew(): Promise<void> {
    const { clock } = this.#ports
    const held = [...this.#held.values()]
    const sentAt = clock.monotonic()
    const claims = await this.#claim('renew', held)
    for (const [index, mine] of held.entries()) {
      const claim = claims[index]
      if (claim instanceof CacheError) {
        if (!this.#stillHeld(mine)) this.lose(mine.partition, 'the lease ended, and the engine could not be asked')
      } else if (claim?.granted === true) mine.until = sentAt + this.#termMs
      else this.lose(mine.partition, 'somebody else has it')
    }
  }

  async #acquire(room: number): Promise<void> {
    if (room <= 0) return
    const { clock, partitions } = this.#ports
    const now = clock.monotonic()
    const all = partitions.all
    // Everybody begins elsewhere, so that those who start together do not all ask for the same ones.
    const start = Math.floor(clock.random() * all.length)
    const wanted = all
      .map((_, index) => all[(start + index) % all.length] as Partition)
      .filter(({ number }) => !this.#held.has(number) && (this.#takenUntil.get(number) ?? 0) <= now)
      .slice(0, room)
      .map((partition) => ({ partition, token: '' }))
    const claims = await this.#claim('acquire', wanted)
    for (const [index, { partition }] of wanted.entries()) {
      const claim = claims[index]
      if (claim === undefined || claim instanceof CacheError) continue
      if (!claim.granted) {
        this.#takenUntil.set(partition.number, now + claim.takenForMs)
        continue
      }
      const held = { partition, token: claim.token, until: now + this.#termMs, lost: new AbortController() }
      this.#held.set(partition.number, held)
    }
  }

  async #claim(
    verb: ClaimVerb,
    asked: readonly { readonly partition: Partition; readonly token: string }[],
  ): Promise<readonly (Claim | CacheError)[]> {
    if (asked.length === 0) return []
    const { engine, clock, losses, owner } = this.#ports
    const commands = asked.map(({ partition, token }) => ({
      partition,
      commands: [
        {
          script: claimScript,
          keys: claimKeys(partition),
          args: [verb, owner, token, `${this.#termMs}`, `${owner}.${this.#born++}`],
        },
      ],
    }))
    const promised = asked.map(({ partition }) => losses.acknowledged(partition.number))
    const deadlineAt = clock.monotonic() + this.#beatMs
    const answers = await askPartitions(engine, commands, { deadlineAt, kind: 'write' })
    return answers.map((answer, index) => {
      if (answer instanceof CacheError) return answer
      const claim = claimOf(answer[0])
      const number = asked[index]?.partition.number ?? 0
      // Only who is the owner has made sure that there is a life at all.
      if (claim.granted && verb !== 'release') {
        losses.saw(number, claim, promised[index] ?? 0)
        if (claim.missing > 0) losses.missing(number, claim.missing)
      }
      return claim
    })
  }

  async #meet(verb: 'stay' | 'leave'): Promise<void> {
    const { engine, clock, members, owner, events } = this.#ports
    const command = { script: meetScript, keys: [members], args: [owner, `${this.#termMs}`, verb] }
    const deadlineAt = clock.monotonic() + this.#beatMs
    try {
      const { replies } = await engine.send({
        commands: [command],
        key: members,
        deadlineAt,
        kind: 'write',
        idempotent: true,
      })
      this.#members = Math.max(1, Number(replies[0]))
    } catch (error) {
      if (verb === 'stay') events.tell('trouble', { error, what: 'the other processes could not be counted' })
    }
  }

  #stillHeld(held: Held): boolean {
    return this.#ports.clock.monotonic() < held.until
  }
}
