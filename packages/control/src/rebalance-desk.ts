/** What a rebalance of a deployment would do now: its engines are asked what is in their slots, and nothing is changed. */
import type { EngineBuild, RebalancePreview, RebalanceWish, SlotContents, Status } from '@holdfast/core'
import { HoldfastError, moverOf, previewRebalance, slotCountTotal } from '@holdfast/core'
import type { Clock } from './clock.ts'
import type { Credentials } from './engine/reader.ts'
import type { SlotQuestion, SlotsRead } from './engine/slot-reader.ts'

/** How long the work with each slot is watched: what an engine has counted since it started says nothing of now. */
const watchMs = 2000

export interface RebalanceDeskOptions {
  readonly clock: Clock
  /** Throws NOT_FOUND, REFUSED_ADOPTED. */
  readonly status: (name: string) => Status | undefined
  readonly engineOf: (name: string) => EngineBuild | undefined
  readonly credentials: (name: string) => Credentials
  readonly readSlots: (question: SlotQuestion, credentials: Credentials) => Promise<SlotsRead>
}

interface Seen {
  readonly contents: SlotContents | null
  /** What is to be said of it. */
  readonly notes: readonly string[]
}

export class RebalanceDesk {
  readonly #options: RebalanceDeskOptions

  constructor(options: RebalanceDeskOptions) {
    this.#options = options
  }

  /** Throws REFUSED_UNSAFE where there is nothing to rebalance, or it is not known who has what; UNREACHABLE_ENGINE. */
  async preview(name: string, wish: RebalanceWish): Promise<RebalancePreview> {
    const status = this.#options.status(name)
    const engine = this.#options.engineOf(name)
    if (status === undefined || engine === undefined) {
      throw new HoldfastError('UNREACHABLE_ENGINE', `nobody has looked at ${name} yet: try again in a second`, { name })
    }
    refuseUnlessOwned(status)
    const owned = new Map(status.shards.map(({ id, slots }) => [id, slots]))
    const { contents, notes } = await this.#contents(name, this.#questionsFor(status, engine), wish)
    const preview = previewRebalance({ ...wish, owned, contents, mover: moverOf(engine) })
    return { ...preview, notes: [...notes, ...preview.notes] }
  }

  #questionsFor({ shards, nodes }: Status, engine: EngineBuild): SlotQuestion[] {
    return shards.flatMap(({ slots, primary }) => {
      const node = nodes.find(({ id }) => id === primary)
      return node === undefined ? [] : [{ address: node.host, port: node.port, slots, engine }]
    })
  }

  /** Slots can be shared out by their number where nobody says what is in them; by what is in them they cannot. */
  async #contents(name: string, questions: readonly SlotQuestion[], { by }: RebalanceWish): Promise<Seen> {
    try {
      const first = await this.#read(name, questions)
      if (by !== 'load') return { contents: { ...first, load: null }, notes: [] }
      if (first.cpuUs === null) return { contents: { ...first, load: null }, notes: [notCounted(questions)] }
      await this.#options.clock.sleep(watchMs)
      const { cpuUs } = await this.#read(name, questions)
      const load = first.cpuUs.map((before, slot) => Math.max(0, (cpuUs?.[slot] ?? 0) - before))
      if (load.some((one) => one > 0)) return { contents: { ...first, load }, notes: [] }
      const note = `nothing was asked of ${name} for ${watchMs / 1000} s, so its keys stand for its load`
      return { contents: { ...first, load: null }, notes: [note] }
    } catch (error) {
      if (by !== 'slots' || !(error instanceof HoldfastError)) throw error
      return { contents: null, notes: [`what is in the slots is not known: ${error.message}`] }
    }
  }

  async #read(name: string, questions: readonly SlotQuestion[]): Promise<SlotsRead> {
    const { readSlots, credentials } = this.#options
    const asked = await Promise.all(questions.map((question) => readSlots(question, credentials(name))))
    const cpuUs = asked.map((one) => one.cpuUs).filter((one) => one !== null)
    return {
      keys: together(asked.map(({ keys }) => keys)),
      bytes: together(asked.map(({ bytes }) => bytes)),
      cpuUs: cpuUs.length < asked.length ? null : together(cpuUs),
    }
  }
}

function refuseUnlessOwned({ name, topology, shards, nodes }: Status): void {
  if (topology !== 'cluster') {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `${name} is of topology ${topology}, which has no slots: only those of a Cluster can be shared out`,
      { name, topology },
    )
  }
  const lost = shards.find(({ primary }) => nodes.find(({ id }) => id === primary)?.state !== 'ok')
  if (lost === undefined) return
  throw new HoldfastError(
    'REFUSED_UNSAFE',
    `${lost.id} has no primary that answers, so it is not known what it has: ask again once ${name} is ready`,
    { name, shard: lost.id },
  )
}

const notCounted = ([question]: readonly SlotQuestion[]): string => {
  const { flavor = '', version = '' } = question?.engine ?? {}
  return `${flavor} ${version} does not count here what each slot costs, so its keys stand for its load`
}

/** Each slot is of one of them. */
function together(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(slotCountTotal)
  for (const part of parts) for (const [slot, value] of part.entries()) all[slot] = (all[slot] ?? 0) + value
  return all
}
