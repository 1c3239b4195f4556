/** Leaves steps out of a day as long as the same law is broken: what remains is the story to read. */
import type { Day, Step } from './day.ts'
import { World } from './world.ts'

export async function shorten(day: Day, law: string): Promise<Day> {
  const isBroken = async (steps: readonly Step[]): Promise<boolean> => {
    const violations = await new World({ ...day, steps }).live()
    return violations.some((violation) => violation.startsWith(`${law}:`))
  }
  let { steps } = day
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < steps.length; ) {
      const fewer = [...steps.slice(0, from), ...steps.slice(from + size)]
      if (await isBroken(fewer)) steps = fewer
      else from += size
    }
  }
  return { ...day, steps }
}
