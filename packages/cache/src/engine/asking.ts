/** Questions to nodes whose data is none of our business: connections that are kept, one for each. */
import type { Clock } from '../clock.ts'
import { Connection } from './connection.ts'
import { Deadlines } from './deadlines.ts'
import type { Argument } from './engine.ts'
import { EngineNode, type NodeHearing, type NodeTerms, nameOfAddress } from './node.ts'
import type { Listen } from './sentinel.ts'
import type { Address } from './topology.ts'

/** The replies, as soon as the node is connected; nobody waits longer than `withinMs`. */
export function askWithin(
  node: EngineNode,
  commands: readonly (readonly Argument[])[],
  { withinMs, clock }: { readonly withinMs: number; readonly clock: Clock },
): Promise<readonly unknown[]> {
  return new Promise((resolve, reject) => {
    const stop = clock.after(withinMs, () => reject(new Error(`${node.name} did not answer within ${withinMs} ms`)))
    const ask = (): void => {
      node.ask(commands).then(
        (replies) => {
          stop()
          resolve(replies)
        },
        (error: Error) => {
          stop()
          reject(error)
        },
      )
    }
    // Those that do not let us in are tried again so rarely that nobody can wait for it.
    if (node.isConnected || node.denied !== undefined) ask()
    else {
      node.open()
      node.whenTurned(ask)
    }
  })
}

const nobodyHears: NodeHearing = {
  changed() {},
  linked() {},
  unlinked() {},
  breaker() {},
  refused() {},
  turned() {},
}

/** Asks and listens to Sentinels. */
export class Askers {
  readonly #terms: NodeTerms
  readonly #clock: Clock
  readonly #nodes = new Map<string, EngineNode>()
  readonly #listening = new Set<Connection>()

  constructor(terms: NodeTerms, clock: Clock) {
    // A question that is not answered in time is reason enough for another connection.
    this.#terms = { ...terms, track: [], cluster: false, checkRole: false, blocking: true }
    this.#clock = clock
  }

  ask(address: Address, commands: readonly (readonly Argument[])[], withinMs: number): Promise<readonly unknown[]> {
    const name = nameOfAddress(address)
    let node = this.#nodes.get(name)
    if (node === undefined) {
      const clock = this.#clock
      node = new EngineNode(address, 'replica', this.#terms, {
        clock,
        deadlines: new Deadlines(clock),
        hear: nobodyHears,
      })
      this.#nodes.set(name, node)
    }
    const asked = node
    const heardBefore = asked.heard
    const answer = askWithin(asked, commands, { withinMs, clock: this.#clock })
    answer.catch((error: Error) => {
      if (asked.isConnected && asked.heard === heardBefore) asked.stalled(error.message)
    })
    return answer
  }

  readonly listen: Listen = (address, channels, hear) => {
    let ended = false
    const lost = (because: string): void => {
      if (ended) return
      ended = true
      this.#listening.delete(connection)
      hear.lost(because)
    }
    const connection: Connection = new Connection({ ...this.#terms, address }, 'plain', {
      lost: (error) => lost(error.message),
      changed() {},
    })
    this.#listening.add(connection)
    connection
      .open(this.#clock, 'plain')
      .then(() =>
        connection.subscribe(channels, (text, channel) => {
          if (!ended) hear.message({ channel, text })
        }),
      )
      .catch((error: unknown) => {
        connection.close()
        lost(error instanceof Error ? error.message : String(error))
      })
    return () => {
      ended = true
      this.#listening.delete(connection)
      connection.close()
    }
  }

  close(): void {
    for (const node of this.#nodes.values()) node.close('the engine was closed')
    for (const connection of this.#listening) connection.close()
  }
}
