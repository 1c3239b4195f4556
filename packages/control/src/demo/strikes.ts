/** The faults: on the lane with Holdfast as everybody injects them, and on the other one in the same moment. */
import { setTimeout as delay } from 'node:timers/promises'
import type { DemoAction, FaultName, FaultWish, SlotRange } from '@holdfast/core'
import type { Platform } from '../server/platform.ts'
import type { Compare } from './compare.ts'
import type { Story } from './story.ts'

/** The actions that are faults. */
export type Strike = Extract<DemoAction, 'kill' | 'two' | 'freeze' | 'cache'>

const faultOf: Readonly<Record<Strike, FaultName>> = {
  kill: 'kill-primary',
  two: 'kill-two',
  freeze: 'freeze',
  cache: 'kill-all',
}

const wishFor = (strike: Strike): FaultWish => ({
  fault: faultOf[strike],
  forMs: null,
  node: null,
  onProduction: null,
  drill: null,
})

const calmWithinMs = 3000

export class Strikes {
  readonly #deployment: string
  readonly #story: Story
  readonly #compare: Compare
  /** When each shard had its primary killed or frozen last. */
  readonly #struckAt = new Map<string, number>()
  /** Faults of ours, by their ids: those of a drill in another terminal are not ended by a key. */
  readonly #ours = new Set<string>()

  constructor(deployment: string, story: Story, compare: Compare) {
    this.#deployment = deployment
    this.#story = story
    this.#compare = compare
  }

  /** On the same slots of both lanes. What still lasts of an earlier one is ended first. Answers what was done. */
  async strike(strike: Strike, platform: Platform, actor: string): Promise<string> {
    for (const id of await this.underway(platform)) if (this.#ours.has(id)) await this.#heal(id, platform, actor)
    await this.#calm(strike, platform)
    const shards = new Map(platform.status(this.#deployment)?.shards.map(({ primary, slots }) => [primary, slots]))
    const before = platform.events.latest({ limit: 1 }).at(-1)?.seq ?? 0
    const victim = strike === 'kill' || strike === 'freeze' ? this.#nextVictim(platform) : null
    const wish = { ...wishFor(strike), node: victim }
    const { id, because, targets, injectedAt } = await platform.injectFault(this.#deployment, wish, actor)
    this.#ours.add(id)
    const slots = targets.flatMap((node) => shards.get(node) ?? [])
    const bare = this.#strikeBare(strike, slots)
    this.#story.mark(strike, because, injectedAt)
    // The controller is often quicker with its sentence than the answer that the fault is there.
    for (const event of platform.events.since(before, { deployment: this.#deployment })) this.#story.explainBy(event)
    await bare
    return because
  }

  /** Who presses the next key while the last fault is being healed means: as soon as it is. Later, he is refused. */
  async #calm(strike: Strike, platform: Platform): Promise<void> {
    const deadline = performance.now() + calmWithinMs
    while (performance.now() < deadline) {
      const { preconditions } = await platform.previewFault(this.#deployment, wishFor(strike))
      if (preconditions.every(({ met }) => met)) return
      await delay(50)
    }
  }

  /** The faults that last, by their ids. */
  async underway(platform: Platform): Promise<readonly string[]> {
    const faults = await platform.faults(this.#deployment)
    return faults.flatMap(({ id, healedAt }) => (healedAt === null ? [id] : []))
  }

  /** Ends whatever lasts. */
  async healAll(platform: Platform, actor: string): Promise<void> {
    for (const id of await this.underway(platform)) await this.#heal(id, platform, actor)
  }

  async #heal(id: string, platform: Platform, actor: string): Promise<void> {
    this.#compare.cluster?.thaw()
    await platform.healFault(this.#deployment, id, actor)
  }

  /**
   * The primary of the shard that was struck longest ago. A shard has one frozen engine killed in ten minutes, so that a
   * machine that freezes them all does not lose them all: the second in a row would be a long freeze.
   */
  #nextVictim(platform: Platform): string | null {
    const shards = platform.status(this.#deployment)?.shards.filter(({ primary }) => primary !== null) ?? []
    const [next] = shards.toSorted((a, b) => (this.#struckAt.get(a.id) ?? 0) - (this.#struckAt.get(b.id) ?? 0))
    if (next !== undefined) this.#struckAt.set(next.id, Date.now())
    return next?.primary ?? null
  }

  async #strikeBare(strike: Strike, slots: readonly SlotRange[]): Promise<void> {
    const { cluster } = this.#compare
    if (cluster === undefined) return
    if (strike === 'freeze') await cluster.freeze(slots)
    else await cluster.kill(strike === 'cache' ? 'all' : slots)
  }
}
