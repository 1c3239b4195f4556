/** The course of a drill's fault: injected, lasting, healed, and the deployment whole again. */
import { setTimeout as delay } from 'node:timers/promises'
import type { FaultName, FaultSeen, Status } from '@holdfast/core'
import { cuts, faultTable, formatDuration, HoldfastError } from '@holdfast/core'
import type { Desk } from './desk.ts'
import { askIfThere } from './desk.ts'
import { pause } from './pause.ts'
import type { Watch } from './watch.ts'
import type { DrillPorts, DrillWish } from './wish.ts'
import { faultWishOf } from './wish.ts'
import { wallNow } from './workload.ts'

/** How long mending may take before it counts as not done. */
export const readyWithinMs = 90_000
/** How long a fault's own timer may be late before it is healed by hand. */
const timerLateMs = 2000
/** Nothing is ready before somebody has looked again; the loop looks each second. */
const noticedMs = 1500
/** Clocks of two processes; a drill writes for longer than that before its fault, so no earlier one is meant. */
const clocksDifferMs = 2000
/** Between two questions whether the fault still lasts. */
const askEveryMs = 2000

const wakes: readonly FaultName[] = ['freeze', 'freeze-agent', ...cuts]

/** Something that was frozen, or alone, can do harm when it wakes, and that takes its time. */
export const observeMs = (fault: FaultName): number => (wakes.includes(fault) ? 12_000 : 3000)

/** Wall clock, ms since 1970. */
export interface FaultTimes {
  readonly faultAt: number
  /** Null: it was not healed as long as was waited. */
  readonly healedAt: number | null
  readonly readyAt: number | null
  /** Why it ended before its time; null: it did not. */
  readonly cutShort: string | null
  /** Why healing did not work; null: it did. */
  readonly trouble: string | null
}

export class FaultCourse {
  readonly #drill: string
  readonly #wish: DrillWish
  readonly #ports: DrillPorts

  constructor(drill: string, wish: DrillWish, ports: DrillPorts) {
    this.#drill = drill
    this.#wish = wish
    this.#ports = ports
  }

  /** Where the fault takes the controller along, its answer may not come: then the fault is found where faults are kept. */
  async inject(): Promise<FaultSeen> {
    const { deployment, fault } = this.#wish
    const askedAt = Math.floor(wallNow())
    const seen =
      (await this.#ask((desk) => desk.injectFault(deployment, faultWishOf(this.#wish, this.#drill)))) ??
      (await this.#find(askedAt))
    if (seen === undefined) {
      throw new HoldfastError(
        'UNREACHABLE_CONTROLLER',
        `nobody answered whether ${fault} was injected; if it was, "holdfast drill ${deployment} --stop" ends it`,
      )
    }
    this.#ports.say(`  fault: ${seen.because}`)
    return seen
  }

  async toItsEnd(seen: FaultSeen, watch: Watch): Promise<FaultTimes> {
    const { say, signal } = this.#ports
    const { fault } = this.#wish
    const isMoment = faultTable[fault].forMs === 0
    await this.#hold(seen)
    const isCut = signal.aborted && wallNow() < seen.healsAt
    if (isCut) say(`  ${reasonOf(signal)}: healing now`)
    const { healedAt: endedAt, trouble } = await this.#healed(seen, isCut)
    if (!isMoment) say(endedAt === null ? '  it is not healed' : '  healed')
    const healedAt = isMoment ? seen.injectedAt : endedAt
    const readyAt = await this.#whole(seen.injectedAt, healedAt ?? wallNow(), watch)
    say(readyAt === null ? `  not ready within ${formatDuration(readyWithinMs)}` : '  ready, with all copies')
    await pause(this.#ports, observeMs(fault), 'looking on')
    return { faultAt: seen.injectedAt, healedAt, readyAt, cutShort: signal.aborted ? reasonOf(signal) : null, trouble }
  }

  async #find(askedAt: number): Promise<FaultSeen | undefined> {
    const { deployment, fault } = this.#wish
    const deadline = wallNow() + faultTable[fault].forMs + readyWithinMs
    while (wallNow() < deadline) {
      const faults = await this.#ask((desk) => desk.faults(deployment))
      const found = faults?.find((one) => one.fault === fault && one.injectedAt > askedAt - clocksDifferMs)
      if (found !== undefined) return found
      await delay(200)
    }
    return undefined
  }

  /** Until its time is over, somebody stops it, or the drill ends early. */
  async #hold(seen: FaultSeen): Promise<void> {
    const { signal } = this.#ports
    let isOver = false
    while (!isOver && !signal.aborted && wallNow() < seen.healsAt) {
      await pause(this.#ports, Math.min(askEveryMs, seen.healsAt - wallNow()), 'the fault lasts', seen.healsAt)
      isOver = (await this.#again(seen))?.healedAt != null
    }
  }

  /** Its own timer heals it; by hand it is healed when the drill ends early, or the timer does not come. */
  async #healed(seen: FaultSeen, atOnce: boolean): Promise<FaultSeen> {
    const deadline = wallNow() + readyWithinMs
    let latest = seen
    while (latest.healedAt === null && wallNow() < deadline) {
      const isByHand = atOnce || wallNow() > seen.healsAt + timerLateMs
      const answer = isByHand
        ? await this.#ask((desk) => desk.healFault(this.#wish.deployment, seen.id))
        : await this.#again(seen)
      latest = answer ?? latest
      if (latest.healedAt === null) await delay(100)
    }
    return latest
  }

  async #again({ id }: FaultSeen): Promise<FaultSeen | undefined> {
    const faults = await this.#ask((desk) => desk.faults(this.#wish.deployment))
    return faults?.find((fault) => fault.id === id)
  }

  /** Since when the deployment is ready with all its copies, which may be before the fault was healed; null: it is not, as long as was waited. */
  async #whole(faultAt: number, healedAt: number, watch: Watch): Promise<number | null> {
    const deadline = wallNow() + readyWithinMs
    const noticedAt = Math.max(healedAt, faultAt + noticedMs)
    while (wallNow() < deadline) {
      const { latest, readySince } = watch
      if (readySince !== null && latest.observedAt > noticedAt && isWhole(latest)) return Math.max(readySince, faultAt)
      await delay(50)
    }
    return null
  }

  #ask<T>(question: (desk: Desk) => Promise<T>): Promise<T | undefined> {
    return askIfThere(this.#ports.findDesk, question)
  }
}

const isWhole = ({ nodes }: Status): boolean =>
  nodes.every(({ state, role, link }) => state === 'ok' && (role !== 'replica' || link === 'up'))

function reasonOf({ reason }: AbortSignal): string {
  return reason instanceof Error && reason.name !== 'AbortError' ? reason.message : 'ended by hand'
}
