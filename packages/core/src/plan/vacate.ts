/**
 * What stands by, or is chained, on a host that was taken off the spec: it holds nothing that others lack, so another
 * comes in its place and it goes, at once. Copies of a shard are made anew with more care (`remake.ts`).
 */
import { HoldfastError } from '../error.ts'
import type { NodePicture } from '../picture.ts'
import { isTakenOff } from '../placement/hosting.ts'
import { placeMore } from '../placing.ts'
import type { PlanInput, Step } from './step.ts'
import { idle, replan, wait } from './step.ts'
import { leave } from './surplus.ts'

export function planVacate(input: PlanInput): Step {
  const { picture, spec } = input
  const next = [...picture.chained, ...picture.spares].find(
    ({ place }) => place.leaving === undefined && isTakenOff(place, spec),
  )
  return next === undefined ? idle : vacate(next, input)
}

function vacate({ id, place }: NodePicture, { document, spec, vacancy }: PlanInput): Step {
  const because = `${place.host} is no host of ${spec.name} any more`
  if (vacancy === undefined) return wait(`${id} moves: ${because}`)
  const { shard, spare = false, chained = false } = place
  const wish = { shard, ...(spare ? { spare } : {}), ...(chained ? { chained } : {}) }
  try {
    const places = placeMore(document, spec, [wish], (port) => vacancy.taken.has(port), vacancy.rooms)
    const told = places.map((by) => `${by.id} on ${by.host} comes in the place of ${id}: ${because}`)
    return replan(told.join(), [leave(place, because, spec), ...places.map((by) => ({ id: by.id, place: by }))])
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    return wait(`${id} shall move, since ${because}: ${error.message}`)
  }
}
