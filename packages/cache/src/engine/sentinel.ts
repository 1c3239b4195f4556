/**
 * Who the primary is, by what Sentinels say.
 *
 * All Sentinels are asked at once, and none is waited for: the first majority is enough, or a single answer and a short
 * grace. The highest epoch wins (`sentinel-answers.ts`), and never goes back unless most Sentinels say so. Whoever is
 * named must say itself that it is the primary; until then nobody is, because a write to the wrong node is lost. A replica
 * that was promoted says so itself, and whose data it went on from: it is followed before the Sentinels have noticed it.
 *
 * Questions are repeated each second, several times a second while something looks wrong. Events of two Sentinels make
 * it faster; they only ever lead to a question, so that one that is missed, doubled or late does no harm.
 */
import type { Clock } from '../clock.ts'
import { CacheError } from '../errors.ts'
import type { Message } from './engine.ts'
import type { SentinelAnswer, Verdict } from './sentinel-answers.ts'
import { errorAmong, nameOf, readSentinelAnswer, sentinelQuestion, weigh } from './sentinel-answers.ts'
import { readHistory } from './succession.ts'
import type { Address, Ask, Layout, Topology } from './topology.ts'

/** Listens to channels of one Sentinel until it is closed or lost, one or the other, and `lost` once at most. */
export type Listen = (
  address: Address,
  channels: readonly string[],
  hear: { message(message: Message): void; lost(because: string): void },
) => () => void

export interface SentinelPorts {
  /** Where to start; further ones are learned. */
  readonly sentinels: readonly Address[]
  readonly masterName: string
  /** Asks a Sentinel, with the user and password of Sentinels. */
  readonly ask: Ask
  /** Asks a node, with the user and password of nodes. Default: `ask`. */
  readonly askNode?: Ask
  readonly subscribe?: Listen
  readonly clock: Clock
  /** All Sentinels say no: a name that they do not know, a wrong password. Said once a change. */
  readonly trouble?: (error: CacheError) => void
}

/** A Sentinel that does not answer in that time is as good as dead. */
const askWithinMs = 300
/** After the first answer others may still bring a higher epoch: so long are they waited for. */
const graceMs = 50
/** Between two looks that are asked for. */
const shortestGapMs = 50
/** For how long after the last suspicion it is looked more often. */
const suspectForMs = 2000
/** A replica is promoted within this, if one is. */
const freshTroubleMs = 1000
/** An outage that lasts longer is looked at less often. */
const longTroubleMs = 30_000
/** A Sentinel that is listened to and was silent for so long is replaced by another. */
const silentSentinelMs = 3000
const listenedTo = 2
const mostSentinels = 32

/** After these another node is the primary: what the old one says need not be waited for. */
const replacing = ['+switch-master', '+promoted-slave', '+failover-state-reconf-slaves']
const otherNews = '+failover-end +convert-to-slave +slave +sdown -sdown +odown -odown +reboot +sentinel'.split(' ')
const channels = [...replacing, ...otherNews]

type Role = 'primary' | 'replica' | 'silent'

interface Look {
  readonly because: string
  readonly answers: SentinelAnswer[]
  readonly refusals: Error[]
  decided: boolean
}

export function sentinelTopology(ports: SentinelPorts): Topology {
  return new SentinelTopology(ports)
}

class SentinelTopology implements Topology {
  readonly #ports: SentinelPorts
  readonly #seeds: ReadonlyMap<string, Address>
  readonly #changeListeners: ((layout: Layout, because: string) => void)[] = []
  readonly #listening = new Map<string, () => void>()
  /** One question at a time to each: a Sentinel that hangs is not asked more. */
  readonly #asking = new Set<string>()
  /** When each Sentinel last answered, by the monotonic clock. */
  readonly #answeredAt = new Map<string, number>()
  #known: ReadonlyMap<string, Address>
  #layout: Layout | undefined
  #look: Look | undefined
  #beganAt = Number.NEGATIVE_INFINITY
  /** Why to look again as soon as the look under way is done. */
  #again: string | undefined
  /** Answers with a higher epoch that came when their look was already decided: the next one begins with them. */
  #late: SentinelAnswer[] = []
  #suspectUntil = Number.NEGATIVE_INFINITY
  /** The history of the last primary that said so itself; null where it does not tell. */
  #history: string | null = null
  /** Who went on from it in an epoch in which the Sentinels still name another. */
  #heir: { readonly address: Address; readonly epoch: number } | null = null
  /** Since when there is no primary that says so itself; null while there is one. */
  #troubledSince: number | null = null
  #lastTrouble = ''
  #cancelNext = (): void => {}
  #cancelWait = (): void => {}
  #stopVerifying = (): void => {}
  #closed = false

  constructor(ports: SentinelPorts) {
    this.#ports = ports
    this.#seeds = new Map(ports.sentinels.map((address) => [nameOf(address), address]))
    this.#known = this.#seeds
    this.#begin('the beginning')
  }

  get layout(): Layout | undefined {
    return this.#layout
  }

  onChange(listener: (layout: Layout, because: string) => void): void {
    this.#changeListeners.push(listener)
  }

  suspect(because: string): void {
    if (this.#closed) return
    this.#suspectUntil = this.#ports.clock.monotonic() + suspectForMs
    // What is under way and not decided is the look that is wanted.
    if (this.#look === undefined || this.#look.decided) this.#lookAgain(because)
  }

  /** As good as a Sentinel's own word that the primary was replaced: they are asked, and then the primary itself. */
  consult(_whom: readonly Address[], because: string): void {
    if (this.#closed) return
    this.#stopVerifying()
    this.#lookAgain(because)
  }

  close(): void {
    this.#closed = true
    this.#cancelNext()
    this.#cancelWait()
    this.#stopVerifying()
    for (const stop of this.#listening.values()) stop()
    this.#listening.clear()
    this.#changeListeners.length = 0
  }

  /** Once more, also where the answers to the look under way may be older than what was just heard. */
  #lookAgain(because: string): void {
    if (this.#look !== undefined) this.#again ??= because
    else this.#beginIn(Math.max(0, this.#beganAt + shortestGapMs - this.#ports.clock.monotonic()), because)
  }

  #beginIn(ms: number, because: string): void {
    if (this.#closed) return
    this.#cancelNext()
    this.#cancelNext = this.#ports.clock.after(ms, () => this.#begin(because))
  }

  #begin(because: string): void {
    const look: Look = { because, answers: this.#late, refusals: [], decided: false }
    this.#late = []
    this.#look = look
    this.#beganAt = this.#ports.clock.monotonic()
    this.#cancelWait = this.#ports.clock.after(askWithinMs + graceMs, () => void this.#decide(look))
    for (const [name, address] of this.#known) if (!this.#asking.has(name)) void this.#ask(name, address)
    if (look.answers.length > 0) this.#weighSoon(look)
  }

  /** Never rejects. What it hears goes to the look that is under way when it is heard. */
  async #ask(name: string, address: Address): Promise<void> {
    this.#asking.add(name)
    const { ask, masterName, clock } = this.#ports
    const replies = await settled(() => ask(address, sentinelQuestion(masterName), askWithinMs))
    this.#asking.delete(name)
    if (this.#closed) return
    const answer = replies instanceof Error ? undefined : readSentinelAnswer(replies)
    if (answer !== undefined) this.#answeredAt.set(name, clock.monotonic())
    const look = this.#look
    if (look === undefined || look.decided) {
      if (answer === undefined || answer.epoch <= (this.#layout?.epoch ?? -1)) return
      this.#late.push(answer)
      this.#lookAgain(`${name} tells of a higher epoch`)
      return
    }
    const refusal = replies instanceof Error ? replies : errorAmong(replies)
    if (answer !== undefined) look.answers.push(answer)
    else if (refusal !== undefined) look.refusals.push(refusal)
    this.#weighSoon(look)
  }

  /** Decides as soon as most have answered or nobody else will; else soon after the first. */
  #weighSoon(look: Look): void {
    if (look.answers.length >= this.#majority || this.#asking.size === 0) {
      void this.#decide(look)
      return
    }
    if (look.answers.length !== 1) return
    this.#cancelWait()
    this.#cancelWait = this.#ports.clock.after(graceMs, () => void this.#decide(look))
  }

  get #majority(): number {
    return Math.floor(this.#known.size / 2) + 1
  }

  async #decide(look: Look): Promise<void> {
    if (look.decided) return
    look.decided = true
    this.#cancelWait()
    const verdict = weigh(look.answers)
    const primaryIsThere = verdict === undefined ? this.#nobodyAnswered(look) : await this.#believe(verdict, look)
    if (this.#closed) return
    const now = this.#ports.clock.monotonic()
    this.#troubledSince = primaryIsThere ? null : (this.#troubledSince ?? now)
    this.#look = undefined
    this.#listenEnough()
    const again = this.#again
    this.#again = undefined
    if (again === undefined) this.#beginIn(this.#pauseMs(now), 'a look round')
    else this.#lookAgain(again)
  }

  #pauseMs(now: number): number {
    const dice = this.#ports.clock.random()
    const troubledMs = this.#troubledSince === null ? 0 : now - this.#troubledSince
    if (troubledMs > longTroubleMs) return 500 + 500 * dice
    if (this.#troubledSince !== null && troubledMs < freshTroubleMs) return 50 + 50 * dice
    const suspect = this.#troubledSince !== null || now < this.#suspectUntil
    return suspect ? 100 + 100 * dice : 750 + 500 * dice
  }

  #nobodyAnswered({ refusals }: Look): false {
    const [refusal] = refusals.filter((error) => isDenial(error) || /No such master/i.test(error.message))
    if (refusal === undefined || refusal.message === this.#lastTrouble) return false
    this.#lastTrouble = refusal.message
    const { masterName, trouble } = this.#ports
    const error = isDenial(refusal)
      ? new CacheError('DENIED', 'the Sentinels do not let us in: mend their user and password', {}, refusal)
      : new CacheError(
          'INVALID',
          `no Sentinel knows a primary of the name ${masterName}: mend the name in the url`,
          { masterName },
          refusal,
        )
    trouble?.(error)
    return false
  }

  /** Answers whether the primary itself says that it is. */
  async #believe(verdict: Verdict, { because, answers }: Look): Promise<boolean> {
    const before = this.#layout
    // Sentinels that were set up anew count from the start, all of them; one that was away tells of the past.
    if (before !== undefined && verdict.epoch < before.epoch && verdict.votes < this.#majority) return false
    this.#lastTrouble = ''
    this.#learn(answers.filter(({ epoch }) => epoch === verdict.epoch))
    const { primary, role } = await this.#findPrimary(verdict)
    if (this.#closed) return false
    // A primary that is silent was not replaced yet. Anybody else who does not say so himself is none.
    const former = before?.shards[0]?.primary ?? null
    const isNamed = former !== null && verdict.candidates.some((candidate) => nameOf(candidate) === nameOf(former))
    const kept = primary === null && role === 'silent' && isNamed ? former : primary
    const replicas = verdict.replicas.filter((replica) => kept === null || nameOf(replica) !== nameOf(kept))
    this.#publish(
      { shards: [{ primary: kept, replicas, slots: [[0, 16_383]] }], epoch: verdict.epoch },
      `${because}: ${kept === null ? 'nobody says to be the primary' : `${nameOf(kept)} is the primary`}, epoch ${verdict.epoch}`,
    )
    return primary !== null
  }

  async #findPrimary({ candidates, replicas, epoch }: Verdict): Promise<{ primary: Address | null; role: Role }> {
    if (this.#heir?.epoch !== epoch) this.#heir = null
    let role: Role = 'silent'
    for (const candidate of this.#heir === null ? candidates : [this.#heir.address, ...candidates]) {
      // One after the other: there is a second one only while Sentinels contradict each other.
      // oxlint-disable-next-line no-await-in-loop
      role = await this.#roleOf(candidate)
      if (role === 'primary') return { primary: candidate, role }
    }
    const heir = await this.#findHeir(replicas)
    this.#heir = heir === null ? null : { address: heir, epoch }
    return { primary: heir, role }
  }

  /** Two that went on from the same primary cannot both be right: then the Sentinels are waited for. */
  async #findHeir(replicas: readonly Address[]): Promise<Address | null> {
    const history = this.#history
    if (history === null) return null
    const { ask, askNode = ask } = this.#ports
    const found = await Promise.all(
      replicas.map(async (address) => {
        const replies = await settled(() => askNode(address, [['INFO', 'replication']], askWithinMs))
        const told = replies instanceof Error ? undefined : readHistory(replies[0])
        return told?.isPrimary === true && told.before === history ? [address] : []
      }),
    )
    const [heir, ...more] = found.flat()
    return heir !== undefined && more.length === 0 ? heir : null
  }

  /**
   * HELLO is asked beside ROLE because a user that may do little may still say hello. Where neither is allowed, the
   * Sentinels are believed: then the callers hear of it from the node itself.
   */
  async #roleOf(address: Address): Promise<Role> {
    const { ask, askNode = ask } = this.#ports
    const stopped = new Promise<readonly unknown[]>((resolve) => (this.#stopVerifying = () => resolve([])))
    const asked = settled(() => askNode(address, [['ROLE'], ['HELLO'], ['INFO', 'replication']], askWithinMs))
    const replies = await Promise.race([asked, stopped])
    if (replies instanceof Error) return isDenial(replies) ? 'primary' : 'silent'
    const role = roleAmong(replies)
    if (role === 'master') this.#history = readHistory(replies[2])?.id ?? null
    if (role !== undefined) return role === 'master' ? 'primary' : 'replica'
    const error = errorAmong(replies)
    return error !== undefined && isDenial(error) ? 'primary' : 'silent'
  }

  #learn(answers: readonly SentinelAnswer[]): void {
    const learned = answers.flatMap(({ sentinels }) => sentinels).map((address) => [nameOf(address), address] as const)
    this.#known = new Map([...this.#seeds, ...learned].slice(0, Math.max(mostSentinels, this.#seeds.size)))
    for (const name of this.#answeredAt.keys()) if (!this.#known.has(name)) this.#answeredAt.delete(name)
  }

  #publish(layout: Layout, because: string): void {
    if (JSON.stringify(layout) === JSON.stringify(this.#layout)) return
    this.#layout = layout
    for (const listener of this.#changeListeners) listener(layout, because)
  }

  #listenEnough(): void {
    const { subscribe, clock } = this.#ports
    if (subscribe === undefined) return
    const isSpeaking = (name: string): boolean =>
      clock.monotonic() - (this.#answeredAt.get(name) ?? Number.NEGATIVE_INFINITY) < silentSentinelMs
    for (const [name, stop] of this.#listening) {
      if (this.#known.has(name) && isSpeaking(name)) continue
      this.#listening.delete(name)
      stop()
    }
    for (const [name, address] of this.#known) {
      if (this.#listening.size >= listenedTo) return
      if (!this.#listening.has(name) && isSpeaking(name)) this.#listen(name, address, subscribe)
    }
  }

  #listen(name: string, address: Address, subscribe: Listen): void {
    let over = false
    const stop = subscribe(address, channels, {
      message: ({ channel, text }) => {
        if (over || !text.split(' ').includes(this.#ports.masterName)) return
        if (replacing.includes(channel)) this.#stopVerifying()
        this.#suspectUntil = this.#ports.clock.monotonic() + suspectForMs
        this.#lookAgain(`${name} says ${channel}`)
      },
      lost: (because) => {
        if (over) return
        over = true
        this.#listening.delete(name)
        this.#answeredAt.delete(name)
        this.#lookAgain(`${name} is not heard any more: ${because}`)
      },
    })
    // It may have been lost before this line.
    if (over) return
    this.#listening.set(name, () => {
      over = true
      stop()
    })
  }
}

function roleAmong([role, hello]: readonly unknown[]): string | undefined {
  if (Array.isArray(role)) return String(role[0])
  if (hello instanceof Map) return hello.has('role') ? String(hello.get('role')) : undefined
  if (Array.isArray(hello)) return hello.includes('role') ? String(hello[hello.indexOf('role') + 1]) : undefined
  return typeof hello === 'object' && hello !== null && 'role' in hello ? String(hello.role) : undefined
}

function isDenial(error: Error): boolean {
  const denied = error instanceof CacheError && error.code === 'DENIED'
  return denied || /^(?:NOAUTH|NOPERM|WRONGPASS)\b/.test(error.message)
}

/** What it came to, an error as a value: also one that is thrown at once. */
async function settled<T>(work: () => Promise<T>): Promise<T | Error> {
  try {
    return await work()
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
