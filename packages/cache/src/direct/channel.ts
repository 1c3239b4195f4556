import type { Engine, Subscription } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'

/** What is said on it reaches who listens at that moment, and nobody later: what must not be missed belongs in a stream. */
export interface Channel {
  /** As the engine has it, for scripts and other clients. */
  readonly name: string
  /** Says it once. After INDETERMINATE it may have been heard. */
  publish(text: string): Promise<void>
  /**
   * Hears messages until closed, also after the connection was lost and another was made. `gap`: messages may have been
   * missed, look elsewhere what they were; called after the listening goes on.
   */
  listen(hear: ChannelHearer): Promise<Subscription>
}

export interface ChannelHearer {
  message(text: string): void
  gap(because: string): void
}

export interface ChannelTerms {
  readonly engine: Engine
  readonly name: string
  /** When a call that begins now gives up. */
  readonly deadlineAt: () => number
}

export function openChannel({ engine, name, deadlineAt }: ChannelTerms): Channel {
  return {
    name,
    async publish(text) {
      if (typeof text !== 'string') throw new CacheError('INVALID', 'a message is a string', { what: 'message' })
      const commands = [['PUBLISH', name, text]]
      await engine.send({ commands, key: null, deadlineAt: deadlineAt(), kind: 'write', patient: true })
    },
    listen: (hear) =>
      engine.subscribe([name], { message: ({ text }) => hear.message(text), gap: (because) => hear.gap(because) }),
  }
}
