import type { Api } from './api.ts'
import type { Context } from './context.ts'
import type { Interrupts } from './interrupts.ts'
import { isDown, until } from './until.ts'

const downWithinMs = 60_000
/** What a shell answers for a program that Ctrl-C ended. */
export const interruptedExit = 130

/** Stops what the foreground kept up. An impatient second Ctrl-C leaves the engines running, as they are wanted again. */
export async function takeDown(context: Context, api: Api, name: string, interrupts: Interrupts): Promise<number> {
  const { say } = context
  const names = await api.names()
  if (!names.includes(name)) return 0
  const status = await api.status(name).catch(() => undefined)
  if (status?.controller.lease === 'lost') {
    say(`another controller keeps ${name}: leaving it up`)
    return 0
  }
  say(`\nstopping ${name} (Ctrl-C again: leave its engines running)`)
  await api.setWanted(name, 'down')
  const stopped = until(context, api, name, { isThere: isDown, withinMs: downWithinMs }).then(() => true)
  const isDone = await Promise.race([stopped, interrupts.second().then(() => false)])
  if (!isDone) {
    await api.setWanted(name, 'up')
    say(
      `engines of ${name} run on and nobody heals them: "holdfast up ${name}" carries on, "holdfast down ${name}" stops them`,
    )
    return interruptedExit
  }
  say(`${name} is down; its data is kept`)
  const adopted = await api.adoptedNames()
  const others = names.filter((other) => other !== name && !adopted.includes(other))
  if (others.length > 0) say(`nobody heals ${others.join(', ')} now: "holdfast serve" does`)
  return 0
}
