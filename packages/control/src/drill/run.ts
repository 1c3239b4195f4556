/**
 * A drill, from its first write to its report. Whatever happens in between, the fault heals by its own timer, the lock
 * ends with this process, and the keys are gone within the hour.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { DrillOperation, DrillReport, FaultSeen, Promotion, Spec, Status, UserAccess } from '@holdfast/core'
import {
  accessTo,
  checkOperations,
  faultTable,
  formatDuration,
  HoldfastError,
  parseSpec,
  reportOf,
  wasFencedLately,
} from '@holdfast/core'
import { releaseDrillLock, takeDrillLock } from '../store/drill-lock.ts'
import { askIfThere } from './desk.ts'
import type { EvictionsSeen } from './evictions.ts'
import { evictedBetween, seeEvictions } from './evictions.ts'
import type { FaultTimes } from './fault-course.ts'
import { FaultCourse, observeMs, readyWithinMs } from './fault-course.ts'
import { pause } from './pause.ts'
import type { ReadBackTerms } from './read-back.ts'
import { readBack } from './read-back.ts'
import { Watch } from './watch.ts'
import type { DrillPorts, DrillWish } from './wish.ts'
import type { WorkloadPlan } from './workload.ts'
import { wallNow } from './workload.ts'
import { restMsFor, tagsOf, writersFor } from './writers.ts'

/** Writing before the fault, to know how it is without one. */
const quietMs = 3000
/** Starting a process and connecting to all nodes takes long on a busy machine. */
const firstWriteWithinMs = 60_000
/** As many as one answer of the API has. */
const eventsMax = 1000

export async function runDrill(wish: DrillWish, ports: DrillPorts): Promise<DrillReport> {
  const { deployment } = wish
  const id = randomBytes(4).toString('hex')
  takeDrillLock(ports.home, deployment, id)
  try {
    const desk = ports.findDesk()
    if (desk === undefined) throw nobodyHeals()
    const status = await desk.status(deployment)
    const spec = parseSpec((await desk.spec(deployment)).spec)
    const credentials = await desk.credentials(deployment)
    return await new Drill(id, wish, ports, { status, spec, credentials }).run()
  } finally {
    releaseDrillLock(ports.home, deployment, id)
  }
}

export const nobodyHeals = (): HoldfastError =>
  new HoldfastError(
    'UNREACHABLE_CONTROLLER',
    'no controller runs, so nobody would heal what a drill breaks: start one with "holdfast serve"',
  )

interface Begun {
  readonly status: Status
  readonly spec: Spec
  readonly credentials: UserAccess
}

interface DrillTimes extends FaultTimes {
  readonly beganAt: number
  readonly endedAt: number
  /** What is missing in the record; null: nothing. */
  readonly gap: string | null
}

class Drill {
  readonly #id: string
  readonly #wish: DrillWish
  readonly #ports: DrillPorts
  readonly #begun: Begun
  readonly #terms: ReadBackTerms
  readonly #operations: DrillOperation[] = []
  readonly #evictions: EvictionsSeen[] = []

  constructor(id: string, wish: DrillWish, ports: DrillPorts, begun: Begun) {
    this.#id = id
    this.#wish = wish
    this.#ports = ports
    this.#begun = begun
    this.#terms = { ...begun.credentials, tags: tagsOf(begun.status), drill: id }
  }

  async run(): Promise<DrillReport> {
    const watch = new Watch(this.#begun.status, this.#ports.findDesk)
    const course = new FaultCourse(this.#id, this.#wish, this.#ports)
    await this.#lookAtEvictions(watch.latest)
    const workload = this.#ports.startWorkload(this.#plan(), (operation) => this.#operations.push(operation))
    let [beganAt, endedAt] = [wallNow(), 0]
    let gap: string | null = null
    let seen: FaultSeen
    let times: FaultTimes | undefined
    try {
      await this.#firstWrites()
      beganAt = wallNow()
      await pause(this.#ports, quietMs, 'writing without a fault')
      if (this.#ports.signal.aborted) throw endedEarly()
      await this.#lookAtEvictions(watch.latest)
      seen = await course.inject()
      times = await course.toItsEnd(seen, watch)
    } finally {
      // Also when the fault was refused: the writers end, and their keys are deleted.
      endedAt = wallNow()
      gap = await workload.stop()
      await watch.close()
      if (times === undefined) await readBack(this.#operations, watch.latest, this.#terms)
    }
    return this.#report(seen, { ...times, beganAt, endedAt, gap }, watch.latest, watch.promotions)
  }

  #plan(): WorkloadPlan {
    const { status, credentials } = this.#begun
    const { fault, forMs, clients } = this.#wish
    const writers = writersFor(clients, this.#terms.tags)
    const lastingMs = quietMs + (forMs ?? faultTable[fault].forMs) + observeMs(fault) + readyWithinMs / 2
    return {
      drill: this.#id,
      where: accessTo(status, credentials),
      writers,
      restMs: restMsFor(writers.length, lastingMs),
    }
  }

  /** Until every client has written to every shard. One that cannot without a fault would prove nothing with one. */
  async #firstWrites(): Promise<void> {
    const shards = [...this.#terms.tags.keys()]
    const wanted = this.#wish.clients.flatMap((client) => shards.map((shard) => `${client} to ${shard}`))
    const deadline = wallNow() + firstWriteWithinMs
    while (!this.#ports.signal.aborted) {
      const acked = this.#operations.filter(({ outcome }) => outcome === 'ok')
      const wrote = new Set(acked.map(({ client, shard }) => `${client} to ${shard}`))
      const waitedFor = wanted.filter((writer) => !wrote.has(writer))
      if (waitedFor.length === 0) return
      if (wallNow() > deadline) throw nothingWritten(waitedFor)
      await delay(50)
    }
  }

  async #report(seen: FaultSeen, times: DrillTimes, latest: Status, promotions: readonly Promotion[]) {
    const { deployment, fault } = this.#wish
    const { findDesk, say } = this.#ports
    const { spec } = this.#begun
    const status = (await askIfThere(findDesk, (desk) => desk.status(deployment))) ?? latest
    await this.#lookAtEvictions(status)
    say(`  reading ${this.#operations.length} keys back from every copy`)
    const reads = await readBack(this.#operations, status, this.#terms)
    const events = (await askIfThere(findDesk, (desk) => desk.events(deployment, eventsMax))) ?? []
    const { trouble, faultAt, endedAt } = times
    const targets = status.nodes.filter(({ id }) => seen.targets.includes(id))
    const copies = status.nodes.filter(({ shard }) => targets.some((target) => target.shard === shard))
    const before = events.filter(({ at }) => at < faultAt)
    return reportOf({
      ...times,
      id: this.#id,
      deployment,
      fault,
      what: seen.because,
      targets: targets.map(({ id, shard }) => ({ node: id, shard })),
      shape: shapeOf(status, spec),
      spec,
      waitedMs: readyWithinMs,
      fenceSpent: wasFencedLately(
        before,
        copies.map(({ id }) => id),
        faultAt,
      ),
      operations: this.#operations,
      check: checkOperations({ operations: this.#operations, reads, evicted: evictedBetween(this.#evictions) }),
      promotions,
      events: events.filter(({ at }) => at <= endedAt),
      notes: trouble === null ? [] : [`healing: ${trouble}`],
    })
  }

  async #lookAtEvictions(status: Status): Promise<void> {
    this.#evictions.push(await seeEvictions(status, this.#begun.credentials))
  }
}

const endedEarly = (): HoldfastError =>
  new HoldfastError('REFUSED_NOT_CONFIRMED', 'ended before the fault was injected: nothing was done')

function nothingWritten(waitedFor: readonly string[]): HoldfastError {
  const within = formatDuration(firstWriteWithinMs)
  const sentence = `no write of ${waitedFor.join(', ')} was acknowledged within ${within}, without any fault: none was injected`
  return new HoldfastError('REFUSED_DRILL', sentence, { waitedFor })
}

/** "redis 7.0.15; 3 shards, 6 nodes; persistence hybrid; allkeys-lru; class cache". */
function shapeOf({ engine, shards, nodes }: Status, { persistence, durability, memory }: Spec): string {
  const what = engine === null ? 'engine unknown' : `${engine.flavor} ${engine.version}`
  const kind = typeof durability === 'string' ? durability : durability.class
  return `${what}; ${shards.length} shards, ${nodes.length} nodes; persistence ${persistence}; ${memory.policy}; class ${kind}`
}
