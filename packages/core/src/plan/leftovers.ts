/**
 * What operations that are over have left on the hosts: works that nobody wants any more, files of a backup that was not
 * finished, files of a restore. Nothing waits for it, and it is done however the operation ended.
 */
import type { Action } from '../action.ts'
import type { Operation } from '../operation.ts'
import { isUnfinished } from '../operation.ts'
import type { Picture } from '../picture.ts'
import { everyCopy } from '../picture.ts'
import { jobId, jobsOf } from './backup.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle } from './step.ts'

export function planLeftovers({ picture, document, spec }: PlanInput): Step {
  const over = document.operations.filter((one) => !isUnfinished(one))
  const unwanted = over.flatMap(({ id }) => endWorks(id, picture))
  if (unwanted.length > 0) return act('an operation is over: ending what it had begun', unwanted)
  const actions = [
    ...over.flatMap((one) => discardPart(one, picture)),
    ...(document.operations.some((one) => one.kind === 'restore' && isUnfinished(one))
      ? []
      : everyCopy(picture).flatMap((node): Action[] =>
          node.agent?.restore?.hasFiles === true
            ? [{ kind: 'clear-restore', node: node.id, dropSnapshot: spec.persistence === 'none' }]
            : [],
        )),
  ]
  return actions.length === 0 ? idle : act('an operation is over: removing what it has left', actions)
}

const endWorks = (operation: string, picture: Picture): Action[] =>
  jobsOf(operation, picture).flatMap(({ node, seen }) =>
    seen.state === 'running' || seen.state === 'interrupted' ? [{ kind: 'end-work', node: node.id, job: seen.id }] : [],
  )

/** A backup that did not come to its end leaves no files that look like one, and none that do not. */
function discardPart(operation: Operation, picture: Picture): Action[] {
  if (operation.kind !== 'backup' || operation.state === 'done') return []
  const { id, directory } = operation
  const jobs = jobsOf(id, picture)
  const [first] = jobs
  if (first === undefined || jobs.some(({ seen }) => seen.id === jobId(id, 'discard'))) return []
  return [
    { kind: 'work', node: first.node.id, job: { kind: 'discard', id: jobId(id, 'discard'), directory, backup: id } },
  ]
}
