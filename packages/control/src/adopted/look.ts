import type { Adoption, EngineFacts, NodePlace, Observed, SentinelFacts, SentinelPlace } from '@holdfast/core'
import { foreignPlace, layOutForeign, sentinelPlace } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import { ForeignEyes, readForeignEngine, readForeignSentinel } from '../engine/foreign.ts'
import type { Reach } from '../engine/reach.ts'

/** Each round asks those that the one before has found; a replica of a replica takes the most. */
const roundsMax = 4

/** Looks at one deployment that somebody else runs, and finds out who belongs to it. */
export class ForeignLook {
  readonly #clock: Clock
  readonly #engines: ForeignEyes<EngineFacts>
  readonly #sentinels: ForeignEyes<SentinelFacts>
  /** Nobody of those who belong to it answered. */
  #isLost = true

  /** `reach` counts where the adoption is guarded. */
  constructor(clock: Clock, adoption: Adoption, reach: Reach) {
    const { topology, masterName, user, sentinelUser, secrets, guarded } = adoption
    const within = guarded === true ? { reach } : {}
    const engine = { username: user, password: secrets.engine, ...within }
    const sentinel = { username: sentinelUser, password: secrets.sentinel, ...within }
    this.#clock = clock
    this.#engines = new ForeignEyes(clock, engine, readForeignEngine(topology === 'cluster'))
    this.#sentinels = new ForeignEyes(clock, sentinel, readForeignSentinel(masterName ?? ''))
  }

  /** Once more where somebody was found whom nobody has asked yet. */
  async look(adoption: Adoption): Promise<{ adoption: Adoption; observed: Observed }> {
    let known = adoption
    for (let round = 1; ; round++) {
      const observed = await this.#lookAt(known)
      const layout = layOutForeign(known, observed)
      const isNew = !isSame(layout, known)
      known = { ...known, ...layout }
      this.#isLost = !answers(observed, known)
      if (!isNew || round >= roundsMax) return { adoption: known, observed }
    }
  }

  close(): void {
    this.#engines.close()
    this.#sentinels.close()
  }

  async #lookAt({ topology, seeds, nodes, sentinels }: Adoption): Promise<Observed> {
    // Those that were named are asked where all others have moved: they may be names that follow. Else they are not,
    // since an address that has left may be somebody else's by now.
    const named = this.#isLost ? seeds : []
    const isWatched = topology === 'sentinel'
    const watchers = isWatched ? joined(sentinels, named.map(sentinelPlace)) : []
    const places = isWatched ? nodes : joined(nodes, named.map(seedPlace))
    const [told, heard] = await Promise.all([this.#sentinels.look(watchers), this.#engines.look(places)])
    return {
      at: this.#clock.now(),
      nodes: places.map((place) => ({ ...place, engine: heard.get(place.id) ?? { kind: 'unknown' }, agent: null })),
      sentinels: watchers.map((place) => ({
        ...place,
        engine: told.get(place.id) ?? { kind: 'unknown' },
        agent: null,
      })),
    }
  }
}

const seedPlace = (seed: Adoption['seeds'][number]): NodePlace => foreignPlace(seed, '')

function joined<Place extends NodePlace | SentinelPlace>(places: readonly Place[], more: readonly Place[]): Place[] {
  const known = new Set(places.map(({ id }) => id))
  return [...places, ...more.filter(({ id }) => !known.has(id))]
}

const answers = ({ nodes, sentinels = [] }: Observed, { topology }: Adoption): boolean =>
  (topology === 'sentinel' ? sentinels : nodes).some(({ engine }) => engine.kind === 'answered')

const isSame = (one: Pick<Adoption, 'nodes' | 'sentinels'>, other: Pick<Adoption, 'nodes' | 'sentinels'>): boolean =>
  keyOf(one) === keyOf(other)

const keyOf = ({ nodes, sentinels }: Pick<Adoption, 'nodes' | 'sentinels'>): string =>
  [...nodes.map(({ id, shard }) => `${id} ${shard}`), ...sentinels.map(({ id }) => id)].sort().join('\n')
