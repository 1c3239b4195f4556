import type { Envelope } from './action.ts'
import { HoldfastError } from './error.ts'

/**
 * Whether an agent may run what a controller sends. A controller that was paused and wakes up carries an epoch that a
 * newer one has outdone, or a deadline that has passed: either way nothing of it is run.
 */
export function admit(envelope: Envelope, highestEpoch: number, now: number): void {
  const { deployment, controllerEpoch, notAfter, action } = envelope
  if (controllerEpoch < highestEpoch) {
    throw new HoldfastError(
      'REFUSED_STALE_EPOCH',
      `refused ${action.kind} on ${action.node} of ${deployment}: epoch ${controllerEpoch} is over, a controller of epoch ${highestEpoch} acts`,
      { deployment, controllerEpoch, highestEpoch, node: action.node },
    )
  }
  if (now > notAfter) {
    throw new HoldfastError(
      'REFUSED_EXPIRED',
      `refused ${action.kind} on ${action.node} of ${deployment}: it came ${Math.round(now - notAfter)} ms too late`,
      { deployment, node: action.node },
    )
  }
}
