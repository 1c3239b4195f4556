import type {
  AgentNodeSeen,
  AgentProxySeen,
  AgentSentinelSeen,
  Envelope,
  HearingSeen,
  NodePlace,
  PartAsked,
  SentinelPlace,
} from '@holdfast/core'

/**
 * The door to one machine: its agent starts, stops and changes engines, and reports on them. Local agent, remote
 * agent and memory agent pass the same contract suite.
 *
 * - `look` answers for the nodes that are placed on this host; it reads and changes nothing.
 * - `act` runs one action and returns when it is done, not when its consequences are visible: the next look shows
 *   those. It throws HoldfastError: REFUSED_STALE_EPOCH and REFUSED_EXPIRED before anything is touched, otherwise
 *   ENGINE_* or HOST_*. Running an action twice is harmless.
 * - The highest epoch that was ever accepted for a deployment is persisted before the action runs.
 */
export interface HostPort {
  readonly id: string
  /** The agent's monotonic clock, ms: what `notAfter` is measured by. */
  now(): number
  look(deployment: string, nodes: readonly NodePlace[]): Promise<ReadonlyMap<string, AgentNodeSeen>>
  /** The same for Sentinels. */
  lookAtSentinels(
    deployment: string,
    sentinels: readonly SentinelPlace[],
  ): Promise<ReadonlyMap<string, AgentSentinelSeen>>
  /** The proxy of a deployment. Null: none is wanted here, and nothing of one is left. */
  lookAtProxy(deployment: string, wanted: boolean): Promise<AgentProxySeen | null>
  act(envelope: Envelope): Promise<void>
  /**
   * A piece of a snapshot that lies beside a node until the shelf has collected it, or of what is known of it. Throws
   * BACKUP_DAMAGED where there is no whole one.
   */
  readPart(asked: PartAsked): Promise<Uint8Array>
  /** How the agent of another machine was last heard, by our clock. Absent: it is this machine's. */
  sight?(): HostSight | undefined
  /** Calls back at once when an engine process of this host ends. */
  onExit(listener: (exit: EngineExit) => void): void
  /** Calls back at once when a long work of this host ends, with the deployment that it was for. */
  onJobEnd(listener: (deployment: string) => void): void
}

export interface HostSight {
  /** When it last answered; before it ever did, since when it is asked. */
  readonly heardAt: number
  readonly hearing: HearingSeen | null
}

export interface EngineExit {
  readonly deployment: string
  readonly node: string
  readonly pid: number
}
