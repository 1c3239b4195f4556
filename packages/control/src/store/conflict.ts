import { HoldfastError } from '@holdfast/core'

/** Somebody saved first, or there is nothing to save over. `revision` is what the refused writer had seen. */
export function conflict(name: string, revision: number): HoldfastError {
  const sentence =
    revision === 0
      ? `there is a deployment "${name}" already`
      : `deployment "${name}" was changed or removed since revision ${revision}`
  return new HoldfastError('SPEC_CONFLICT', `${sentence}. Look at it again, then repeat the change.`, {
    name,
    revision,
  })
}
