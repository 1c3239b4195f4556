import type { Endpoint } from '@holdfast/core'
import { EngineLink } from '../../engine/link.ts'
import type { Admin } from '../change-engine.ts'

export type Words = readonly (string | Buffer)[]

/** Long enough for a command that waits for what an engine copies elsewhere; one that takes longer is given up. */
const answerWithinMs = 15_000

/**
 * Connections of a move to one of its engines. From Valkey 8 on each change of a slot waits until the replicas have it
 * too, and holds up its connection, and nobody else: so these are spread over several.
 */
export class Lines {
  readonly #links: readonly EngineLink[]

  constructor({ address, port }: Endpoint, admin: Admin, count: number) {
    const target = { address, port, ...admin, name: 'holdfast-move' }
    this.#links = Array.from({ length: count }, () => new EngineLink(target))
  }

  /** Asked one after the other on one connection, and answered in this order. */
  async ask(commands: readonly Words[], withinMs: number = answerWithinMs): Promise<unknown[]> {
    return commands.length === 0 ? [] : (this.#links[0] as EngineLink).pipelineOfBytes(commands, withinMs)
  }

  /** Told on all connections at once, in no order. */
  async tell(commands: readonly Words[]): Promise<void> {
    const shares = this.#links.map((link, index) => ({
      link,
      share: commands.filter((_, at) => at % this.#links.length === index),
    }))
    await Promise.all(
      shares
        .filter(({ share }) => share.length > 0)
        .map(({ link, share }) => link.pipelineOfBytes(share, answerWithinMs)),
    )
  }

  close(): void {
    for (const link of this.#links) link.end()
  }
}
