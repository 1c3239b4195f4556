import type { EngineSeen, NodePlace, Seen, SentinelFacts, SentinelPlace } from '@holdfast/core'

/**
 * The reading door to the engines of one deployment. It never changes an engine.
 *
 * - `look` asks every node at once and never throws: a node that does not answer is a fact.
 * - A node that answered last time is waited for until the deadline; one that is already silent is not waited for,
 *   so that one frozen engine does not slow the turn that heals another.
 * - `silent.since` is when the oldest unanswered question was asked, or when the observer woke up after that.
 */
export interface EnginePort {
  look(nodes: readonly NodePlace[], signal: AbortSignal): Promise<ReadonlyMap<string, EngineSeen>>
  /** Calls back when something happened that a turn should see: a connection closed, a silent node answered. */
  onChange(listener: () => void): void
  close(): void
}

/** The same door to the Sentinels of one deployment, and their own voice. */
export interface SentinelPort {
  look(sentinels: readonly SentinelPlace[], signal: AbortSignal): Promise<ReadonlyMap<string, Seen<SentinelFacts>>>
  onChange(listener: () => void): void
  /** What a Sentinel tells all its listeners, `+switch-master shop …`: word for word, as it says it. */
  onNews(listener: (sentinel: string, channel: string, text: string) => void): void
  close(): void
}
