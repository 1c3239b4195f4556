/**
 * The reading door to engines and Sentinels that somebody else runs. It asks INFO, CLUSTER INFO and CLUSTER NODES, of
 * Sentinels INFO and SENTINEL, once a look, and nothing else: no name is given to a connection, nothing is subscribed.
 *
 * Whoever does not answer is tried at each look; whoever turns us away is tried seldom, since a wrong password that is
 * shown once a second fills somebody else's log.
 */
import type { Endpoint, EngineFacts, Seen, SentinelFacts } from '@holdfast/core'
import { addressOf, HoldfastError, parseClusterNodes, parseInfo } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import { EngineLink } from './link.ts'
import type { Reach } from './reach.ts'
import { describeFailure } from './reader.ts'
import { readSentinel } from './sentinels.ts'
import { readInfo } from './valkey.ts'

/** An answer is waited for this long before the node counts as not seen. */
const answerWithinMs = 3000
/** A look waits this long for those who answered last time. */
const lookWithinMs = 1000
const turnedAwayMs = 60_000

type Place = Endpoint & { readonly id: string }

export interface ForeignTerms {
  readonly username: string
  readonly password: string
  /** For a caller of the API: where connections may lead, and that nobody's words are passed on. */
  readonly reach?: Reach
}

/** Everybody of one kind of one deployment. */
export class ForeignEyes<Facts> {
  readonly #clock: Clock
  readonly #terms: ForeignTerms
  readonly #read: (link: EngineLink) => Promise<Facts>
  readonly #gazes = new Map<string, Gaze<Facts>>()
  #closed = false

  constructor(clock: Clock, terms: ForeignTerms, read: (link: EngineLink) => Promise<Facts>) {
    this.#clock = clock
    this.#terms = terms
    this.#read = read
  }

  /** Never throws: who does not answer is a fact. Whoever is not among these places any more is let go. */
  async look(places: readonly Place[]): Promise<ReadonlyMap<string, Seen<Facts>>> {
    if (this.#closed) return new Map()
    const asked = new Set(places.map(({ id }) => id))
    for (const [id, gaze] of this.#gazes) {
      if (asked.has(id)) continue
      gaze.close()
      this.#gazes.delete(id)
    }
    const gazes = places.map((place) => this.#gazeOf(place))
    const asking = gazes.flatMap((gaze) => (gaze.isAnswering ? [gaze.ask()] : (void gaze.ask(), [])))
    const enough = new AbortController()
    await Promise.race([Promise.all(asking), this.#clock.sleep(lookWithinMs, enough.signal)])
    enough.abort()
    return new Map(gazes.map((gaze) => [gaze.id, gaze.seen]))
  }

  /** Ends what is under way, too. */
  close(): void {
    this.#closed = true
    for (const gaze of this.#gazes.values()) gaze.close()
    this.#gazes.clear()
  }

  #gazeOf(place: Place): Gaze<Facts> {
    const known = this.#gazes.get(place.id)
    if (known !== undefined) return known
    const gaze = new Gaze(place, this.#clock, this.#terms, this.#read)
    this.#gazes.set(place.id, gaze)
    return gaze
  }
}

/** What one engine last said. */
class Gaze<Facts> {
  readonly id: string
  readonly #clock: Clock
  readonly #link: EngineLink
  readonly #read: (link: EngineLink) => Promise<Facts>
  readonly #isGuarded: boolean
  #last: Seen<Facts> = { kind: 'unknown' }
  #asking: Promise<void> | undefined
  #nextAt = Number.NEGATIVE_INFINITY

  constructor(
    { id, address, port }: Place,
    clock: Clock,
    terms: ForeignTerms,
    read: (link: EngineLink) => Promise<Facts>,
  ) {
    this.id = id
    this.#clock = clock
    this.#read = read
    this.#isGuarded = terms.reach !== undefined
    this.#link = new EngineLink({ ...terms, address, port, name: '' })
  }

  get seen(): Seen<Facts> {
    return this.#last
  }

  /** Whether a look waits for it. */
  get isAnswering(): boolean {
    return this.#last.kind !== 'refused'
  }

  ask(): Promise<void> {
    if (this.#clock.now() < this.#nextAt) return Promise.resolve()
    this.#asking ??= this.#askNow().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  close(): void {
    this.#link.end()
  }

  async #askNow(): Promise<void> {
    const askedAt = this.#clock.now()
    try {
      const facts = await this.#within(this.#read(this.#link))
      this.#last = { kind: 'answered', at: this.#clock.now(), askedAt, facts }
    } catch (error) {
      const failure = describeFailure(error, this.#clock.now())
      if (failure.kind === 'refused') {
        // Since when it is so, and not when it was last tried.
        const since = this.#last.kind === 'refused' ? this.#last.at : askedAt
        this.#last = { ...failure, at: since, reason: this.#isGuarded ? inOurWords(failure.reason) : failure.reason }
        if (isTurnedAway(failure.reason)) this.#nextAt = this.#clock.now() + turnedAwayMs
        // Whatever still comes on this line would be taken for the answer to the next question.
        this.#link.close()
      } else this.#last = failure
    }
  }

  async #within(work: Promise<Facts>): Promise<Facts> {
    const enough = new AbortController()
    const late = this.#clock.sleep(answerWithinMs, enough.signal).then((): never => {
      throw new Error(`no answer within ${answerWithinMs / 1000} s`)
    })
    work.catch(() => {})
    late.catch(() => {})
    try {
      return await Promise.race([work, late])
    } finally {
      enough.abort()
    }
  }
}

/** It answers, and does not let us in, or not ask this. */
export const isTurnedAway = (reason: string): boolean =>
  /^(WRONGPASS|NOAUTH|NOPERM|ERR (AUTH|invalid password|Client sent AUTH))/.test(reason)

/**
 * What is told to a caller of the API. Whoever answers there may be anything, so its own words are not passed on, and
 * nobody learns from ours whether a port is closed, silent, or another service's.
 */
const inOurWords = (reason: string): string =>
  isTurnedAway(reason) ? 'WRONGPASS: it answers, and does not let us in' : 'no engine answers there'

export const readForeignEngine =
  (clustered: boolean) =>
  async (link: EngineLink): Promise<EngineFacts> => {
    const asked = clustered ? [['INFO'], ['CLUSTER', 'INFO'], ['CLUSTER', 'NODES']] : [['INFO']]
    const [info, state, nodes] = await link.pipeline(asked, null)
    const own = readInfo(parseInfo(String(info)))
    if (!clustered) return { ...own, engineId: '', clusterOk: false, view: { me: '', entries: [], open: [] } }
    const view = parseClusterNodes(String(nodes))
    const clusterOk = parseInfo(String(state)).get('cluster_state') === 'ok'
    return { ...own, engineId: view.me, clusterOk, view }
  }

export const readForeignSentinel =
  (masterName: string) =>
  (link: EngineLink): Promise<SentinelFacts> =>
    readSentinel(link, masterName)

/** What kind of deployment answers there: INFO knows. */
export async function askKind(
  { address, port }: Endpoint,
  terms: ForeignTerms,
): Promise<'cluster' | 'standalone' | 'sentinel'> {
  const link = new EngineLink({ address, port, ...terms, name: '' })
  try {
    const info = parseInfo(String(await link.command(['INFO', 'server'], answerWithinMs)))
    const mode = info.get('redis_mode') ?? info.get('server_mode')
    if (mode === undefined) throw new HoldfastError('UNREACHABLE_ENGINE', 'no engine answers there')
    return mode === 'cluster' || mode === 'sentinel' ? mode : 'standalone'
  } catch (error) {
    if (terms.reach === undefined || !(error instanceof HoldfastError) || error.code === 'REFUSED_TARGET') throw error
    const { said } = error.facts
    const isShut = typeof said === 'string' && isTurnedAway(said)
    throw new HoldfastError(
      isShut ? 'ENGINE_REFUSED' : 'UNREACHABLE_ENGINE',
      `nothing was adopted: ${addressOf({ address, port })}: ${inOurWords(isShut ? said : '')}`,
    )
  } finally {
    link.end()
  }
}
