/** The crowd in front of the shops: requests that come when they are due, whether or not the last ones were answered. */
import { Agent, request } from 'node:http'
import { createHistogram } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { complain } from './parent.ts'
import type { Visit } from './visitors.ts'
import { nextVisit } from './visitors.ts'

/** After which a visitor goes away, ms. */
const visitorPatienceMs = 2000
/** And somebody who came for one thing alone. */
const buyerPatienceMs = 10_000
/** Visitors come gradually: the caches of a shop that has just opened are cold. */
const allAreThereAfterMs = 6000
/** A late process catches up with what was due, but not with more than this. */
const catchUpMs = 1000

export class Requests {
  readonly #ports: readonly number[]
  readonly #perSecond: number
  readonly #agent = new Agent({ keepAlive: true, scheduling: 'lifo' })
  #waited = createHistogram()
  #gaveUp = 0
  #sale: string | null = null
  #buyer: string | null = null

  constructor(ports: readonly number[], perSecond: number) {
    this.#ports = ports
    this.#perSecond = perSecond
  }

  async run(signal: AbortSignal): Promise<void> {
    const openedAt = performance.now()
    let dueAt = openedAt
    while (!signal.aborted) {
      const now = performance.now()
      dueAt = Math.max(dueAt, now - catchUpMs)
      const share = Math.min(1, 0.1 + (now - openedAt) / allAreThereAfterMs)
      for (; dueAt <= now; dueAt += 1000 / (share * this.#perSecondNow)) void this.#visit(dueAt)
      await delay(5)
    }
    this.#agent.destroy()
  }

  sell(product: string | null): void {
    this.#sale = product
  }

  /** The first visitor who has put something into the cart; null before there is one. */
  get buyer(): string | null {
    return this.#buyer
  }

  /** Asks for one page so many times at once, over all shops. Answers how long it took, and for how many in vain. */
  async rush(path: string, callers: number): Promise<{ tookMs: number; failed: number }> {
    const from = performance.now()
    const visits = Array.from({ length: callers }, (_, index) =>
      this.#ask(
        { method: 'GET', path, visitor: `buyer-${index}` },
        this.#ports[index % this.#ports.length],
        buyerPatienceMs,
      ),
    )
    const answers = await Promise.all(visits)
    const unanswered = answers.filter((status) => status === null).length
    this.#gaveUp += unanswered
    const failed = answers.filter((status) => status === null || status >= 500).length
    return { tookMs: Math.round(performance.now() - from), failed }
  }

  /** Since the last time. */
  take(): { p99Ms: number | null; gaveUp: number } {
    const p99Ms = this.#waited.count === 0 ? null : this.#waited.percentile(99) / 1000
    const gaveUp = this.#gaveUp
    this.#waited = createHistogram()
    this.#gaveUp = 0
    return { p99Ms, gaveUp }
  }

  /** A sale brings twice as many. */
  get #perSecondNow(): number {
    return this.#sale === null ? this.#perSecond : 2 * this.#perSecond
  }

  async #visit(dueAt: number): Promise<void> {
    const port = this.#ports[Math.floor(Math.random() * this.#ports.length)]
    const visit = nextVisit(Math.random, this.#sale)
    const status = await this.#ask(visit, port, visitorPatienceMs)
    if (visit.method === 'POST' && status === 204) this.#buyer ??= visit.visitor
    if (status === null) this.#gaveUp++
    // From when it was due, so that what waits behind a slow answer is seen to wait.
    this.#waited.record(Math.max(1, Math.round((performance.now() - dueAt) * 1000)))
  }

  /** The status of the answer; null: none came. */
  #ask({ method, path, visitor }: Visit, port: number | undefined, withinMs: number): Promise<number | null> {
    return new Promise((resolve) => {
      const headers = { cookie: `visitor=${visitor}` }
      const asked = request({ host: '127.0.0.1', port, method, path, agent: this.#agent, headers }, (answer) => {
        answer.once('end', () => done(answer.statusCode ?? null))
        answer.once('close', () => done(null))
        answer.resume()
      })
      const giveUp = (): void => void asked.destroy(new Error(`not answered within ${withinMs} ms`))
      // An answer that lies in the socket is heard first: a pause of this process is not the shop's.
      const late = setTimeout(() => setImmediate(giveUp), withinMs)
      const done = (status: number | null): void => {
        clearTimeout(late)
        resolve(status)
      }
      asked.once('error', (error) => {
        complain(`${method} ${path}`, error)
        done(null)
      })
      asked.end()
    })
  }
}
