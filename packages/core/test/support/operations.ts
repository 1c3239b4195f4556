import type { Operation, OperationWish } from '../../src/index.ts'
import { operationFor } from '../../src/index.ts'
import type { Break, Deployment, Draft } from './deployment.ts'
import { agentOf, wallNow } from './deployment.ts'

/** An operation that was just asked for. */
export const asked = (wish: Omit<OperationWish, 'id'> & { id?: string }): Operation =>
  operationFor({ id: 'op-1', ...wish }, 'ann', wallNow)

export const withOperation =
  (operation: Operation): Break =>
  (world) => {
    world.document.operations = [structuredClone(operation) as Draft<Operation>]
  }

/** The operation of one deployment, in another. */
export const sameOperation =
  ({ document }: Deployment): Break =>
  (world) => {
    world.document.operations = structuredClone(document.operations) as Draft<Operation[]>
  }

/** The deployment as the loop leaves it after a turn: what the plan says of operations is saved, and nothing was done. */
export function saved(deployment: Deployment): Deployment {
  const { operations = [] } = deployment.plan()
  return deployment.with((world) => {
    for (const one of operations) {
      const at = world.document.operations.findIndex(({ id }) => id === one.id)
      world.document.operations[at] = structuredClone(one) as Draft<Operation>
    }
  })
}

/** What the planner makes of the one operation that there is. */
export function operationOf(deployment: Deployment): Operation {
  const [one] = saved(deployment).document.operations
  if (one === undefined) throw new Error('nothing was asked for')
  return one
}

/** Its engine was started again: another process. */
export const restarted =
  (id: string): Break =>
  (world) => {
    const { process } = agentOf(world, id)
    if (process.state === 'running') process.pid += 1000
  }
