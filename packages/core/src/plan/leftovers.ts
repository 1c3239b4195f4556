/**
 * What operations that are over have left on the hosts: works that nobody wants any more, files of a backup that was not
 * finished, files of a restore. Nothing waits for it, and it is done however the operation ended.
 */
import type { Action } from '../action.ts'
import { shelfId } from '../backup/job.ts'
import type { Operation } from '../operation.ts'
import { isUnfinished } from '../operation.ts'
import type { Picture } from '../picture.ts'
import { everyCopy } from '../picture.ts'
import { localHostId } from '../placement/hosting.ts'
import { jobId, worksOf } from './backup.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle } from './step.ts'

export function planLeftovers({ picture, document, spec }: PlanInput): Step {
  const over = document.operations.filter((one) => !isUnfinished(one))
  const unwanted = over.flatMap(({ id }) => endWorks(id, picture))
  if (unwanted.length > 0) return act('an operation is over: ending what it had begun', unwanted)
  const needsFiles = document.operations.some((one) => isUnfinished(one) && ['backup', 'restore'].includes(one.kind))
  const actions = [
    ...over.flatMap((one) => discardPart(one, picture)),
    ...(needsFiles
      ? []
      : everyCopy(picture).flatMap((node): Action[] =>
          node.agent?.restore?.hasFiles === true
            ? [{ kind: 'clear-restore', node: node.id, dropSnapshot: spec.persistence === 'none' }]
            : [],
        )),
  ]
  return actions.length === 0 ? idle : act('an operation is over: removing what it has left', actions)
}

function endWorks(operation: string, picture: Picture): Action[] {
  const { nodes, shelf } = worksOf(operation, picture)
  const all = [
    ...nodes.map(({ node, seen }) => ({ at: node.id, seen })),
    ...shelf.map((seen) => ({ at: shelfId, seen })),
  ]
  return all
    .filter(({ seen }) => seen.state === 'running' || seen.state === 'interrupted')
    .map(({ at, seen }): Action => ({ kind: 'end-work', node: at, job: seen.id }))
}

/**
 * A backup that did not come to its end leaves no files that look like one, and none that do not. They are where a node of
 * this machine or the shelf has put them; what lies beside a node of another host goes as all does that lies there.
 */
function discardPart(operation: Operation, picture: Picture): Action[] {
  if (operation.kind !== 'backup' || operation.state === 'done') return []
  const { id, directory } = operation
  const { nodes, shelf } = worksOf(id, picture)
  const here = nodes.filter(({ node }) => node.place.host === localHostId)
  const discardId = jobId(id, 'discard')
  const at = here[0]?.node.id ?? (shelf.length > 0 ? shelfId : undefined)
  if (at === undefined || [...here.map(({ seen }) => seen), ...shelf].some((seen) => seen.id === discardId)) return []
  return [{ kind: 'work', node: at, job: { kind: 'discard', id: discardId, directory, backup: id } }]
}
