/**
 * Where engines speak TLS: that each has a certificate, and another one long before its time is over.
 *
 * An engine takes a new one while it runs, as an edit of its file (`configure.ts`). A Sentinel reads it when it is
 * started: one after the other is started anew, while the others see well enough to fail over.
 */
import { certificatesDue, describeEnd, firstToEnd, suppliedDue, uncovered } from '../certificates.ts'
import { usesTls } from '../spec.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, wait } from './step.ts'

export function planCertify(input: PlanInput): Step {
  const { document, spec, wallNow } = input
  if (!usesTls(spec)) return idle
  if (spec.security.certificate !== null) return planSupplied(input)
  const due = certificatesDue(document, spec, wallNow)
  if (due.length === 0) return idle
  const because = `${idsOf(due)}: a new certificate is due`
  return { ...idle, because, certify: due }
}

/** What the files say is taken as it is; what is wrong with them is said, and what is shown stays. */
function planSupplied({ document, spec, supplied, wallNow }: PlanInput): Step {
  if (supplied === undefined) return idle
  if (supplied.kind === 'unreadable')
    return wait(`${supplied.because}: the engines go on with the certificate of before`)
  const { certificate } = supplied
  const due = suppliedDue(document, spec, supplied)
  const addresses = [...new Set(due.flatMap((wish) => wish.addresses))]
  const missing = uncovered(certificate, addresses)
  if (missing.length > 0) {
    const file = spec.security.certificate?.cert ?? ''
    return wait(`${file} is not for ${missing.join(', ')}: the engines go on with the certificate of before`)
  }
  if (due.length > 0) {
    return { ...idle, because: `${idsOf(due)}: the certificate that was supplied`, certify: due }
  }
  const first = firstToEnd(document)
  if (first === null || certificate.renewAt > wallNow) return idle
  return wait(`${describeEnd(first.id, first.endsAt)}: put another one at ${spec.security.certificate?.cert ?? ''}`)
}

/** One Sentinel at a time ends, to be started with its new certificate. */
export function planRenewal({ picture, files }: PlanInput): Step {
  const behind = picture.sentinels.filter(({ id, agent, life }) => {
    const file = files.get(id)?.tls?.identity?.file
    return file !== undefined && life === 'alive' && agent?.certificate != null && !agent.certificate.endsWith(file)
  })
  const [first] = behind
  if (first === undefined) return idle
  const because = `${first.id} shall show a new certificate`
  if (!picture.sentinels.every(({ watch }) => watch?.quorumOk === true))
    return wait(`${because}, once all Sentinels see each other`)
  return act(`${because}: ending it to start it again`, [{ kind: 'stop', node: first.id, save: false }])
}

const idsOf = (wishes: readonly { readonly id: string }[]): string => wishes.map(({ id }) => id).join(', ')
