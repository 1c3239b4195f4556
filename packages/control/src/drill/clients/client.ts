import type { DeploymentFacts, Outcome } from '@holdfast/core'

/** What a drill's clients all do alike; their differences are what a drill shows. */
export interface DrillClient {
  /** The key as the engine has it, for a hash tag and a name. */
  key(tag: string, name: string): string
  /** Writes, to live for an hour at most. Never rejects: each write has one outcome. May never end, as its client decides. */
  write(tag: string, name: string, value: string): Promise<Wrote>
  close(): void
}

export interface Wrote {
  readonly outcome: Outcome
  /** What the client said where it did not succeed. */
  readonly said: string | null
}

export const done: Wrote = { outcome: 'ok', said: null }

/** A drill that is killed leaves its keys for this long. */
export const keysLiveMs = 3_600_000

export type Where = DeploymentFacts
