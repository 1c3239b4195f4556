/** The faults of another machine, behind the same port as those of this one: its agent's keeper is beside the engines. */
import type { FaultEnvelope, FaultSeen, FaultSent, FaultsAnswered, MachineSeen } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import type { FaultHost, SceneKnown } from '../host/faults/fault-host.ts'
import type { AgentLine, Asked } from './line.ts'

const seenWithinMs = 400
const machineWithinMs = 2000
/** A keeper says its word within two minutes: filling a disk takes longest. */
const injectWithinMs = 130_000
const healWithinMs = 35_000

export interface AgentTime {
  readonly clock: Clock
  /** The agent's monotonic clock, as far as it is known, ms; and of which of its boots that is. */
  now(): number
  boot(): string
}

export class RemoteFaults implements FaultHost {
  readonly #line: AgentLine
  readonly #time: AgentTime

  constructor(line: AgentLine, time: AgentTime) {
    this.#line = line
    this.#time = time
  }

  now(): number {
    return this.#time.now()
  }

  async machine(deployment: string, { nodes }: Pick<SceneKnown, 'nodes'>): Promise<MachineSeen> {
    const path = `/v1/faults/${deployment}/machine`
    return (await this.#line.ask({ method: 'POST', path, body: nodes, withinMs: machineWithinMs })) as MachineSeen
  }

  async inject(envelope: FaultEnvelope, { nodes, network }: SceneKnown): Promise<FaultSeen> {
    const body: FaultSent = { boot: this.#time.boot(), envelope, nodes, network }
    return this.#one('/v1/faults', injectWithinMs, body)
  }

  async heal(deployment: string, id: string): Promise<FaultSeen> {
    return this.#one(`/v1/faults/${deployment}/${id}/heal`, healWithinMs)
  }

  async seen(deployment: string): Promise<readonly FaultSeen[]> {
    return this.#ask({ method: 'GET', path: `/v1/faults/${deployment}`, withinMs: seenWithinMs })
  }

  async #one(path: string, withinMs: number, body: unknown = {}): Promise<FaultSeen> {
    const [fault] = await this.#ask({ method: 'POST', path, body, withinMs })
    if (fault === undefined) throw new Error(`nothing was said of the fault at ${path}`)
    return fault
  }

  /** Told in the time of our wall clock, where its own is certainly another: the answer has taken its time, too. */
  async #ask(asked: Asked): Promise<FaultSeen[]> {
    const { clock } = this.#time
    const askedAt = clock.wall()
    const { wall, faults } = (await this.#line.ask(asked)) as FaultsAnswered
    const [atLeast, atMost] = [askedAt - wall, clock.wall() - wall]
    const byMs = atLeast <= 0 && atMost >= 0 ? 0 : Math.round((atLeast + atMost) / 2)
    return faults.map((fault) => ({
      ...fault,
      injectedAt: fault.injectedAt + byMs,
      healsAt: fault.healsAt + byMs,
      healedAt: fault.healedAt === null ? null : fault.healedAt + byMs,
    }))
  }
}
