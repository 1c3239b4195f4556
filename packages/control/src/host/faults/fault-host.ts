import type { FaultEnvelope, FaultSeen, MachineSeen } from '@holdfast/core'
import type { FaultScene } from './fault-file.ts'

/** What the controller knows of the scene and the agent does not. */
export type SceneKnown = Pick<FaultScene, 'nodes' | 'network' | 'controller'>

/**
 * The door to the faults of one machine. An agent takes the order of a fault as it takes an action: of the newest
 * controller only, and in time.
 */
export interface FaultHost {
  /** The agent's monotonic clock, ms: what `notAfter` is measured by. */
  now(): number
  /** What the machine allows to be done to the nodes of a deployment that are here. Changes nothing. */
  machine(deployment: string, here: Omit<SceneKnown, 'network'>): Promise<MachineSeen>
  /**
   * Answers once the fault is there; from then on it heals by its own timer, whoever dies. Throws REFUSED_* before
   * anything is touched, and REFUSED_UNSAFE where a target is not the engine of its node.
   */
  inject(envelope: FaultEnvelope, known: SceneKnown): Promise<FaultSeen>
  /** Heals it now; one that is healed already stays so. Throws NOT_FOUND. */
  heal(deployment: string, id: string): Promise<FaultSeen>
  /** Those that last and the latest of those that are over, the newest first. */
  seen(deployment: string): Promise<readonly FaultSeen[]>
}
