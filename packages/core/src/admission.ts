import type { Envelope } from './action.ts'
import type { FaultEnvelope } from './drill/fault.ts'
import { HoldfastError } from './error.ts'

/**
 * Whether an agent may run what a controller sends. A controller that was paused and wakes up carries an epoch that a
 * newer one has outdone, or a deadline that has passed: either way nothing of it is run.
 */
export function admit(envelope: Envelope | FaultEnvelope, highestEpoch: number, now: number): void {
  const { deployment, controllerEpoch, notAfter } = envelope
  if (controllerEpoch < highestEpoch) {
    throw new HoldfastError(
      'REFUSED_STALE_EPOCH',
      `refused ${describe(envelope)}: epoch ${controllerEpoch} is over, a controller of epoch ${highestEpoch} acts`,
      { deployment, controllerEpoch, highestEpoch, ...nodeOf(envelope) },
    )
  }
  if (now > notAfter) {
    throw new HoldfastError(
      'REFUSED_EXPIRED',
      `refused ${describe(envelope)}: it came ${Math.round(now - notAfter)} ms too late`,
      { deployment, ...nodeOf(envelope) },
    )
  }
}

const describe = (envelope: Envelope | FaultEnvelope): string =>
  'action' in envelope
    ? `${envelope.action.kind} on ${envelope.action.node} of ${envelope.deployment}`
    : `${envelope.order.fault} of ${envelope.deployment}`

const nodeOf = (envelope: Envelope | FaultEnvelope): { node?: string } =>
  'action' in envelope ? { node: envelope.action.node } : {}
