import type { Action, Plan } from '@holdfast/core'
import type { MakeTurner, Seat } from './controller.ts'

/** What a script wants done in one turn; nothing means that it only looks. */
export type Script = (seat: Seat, turn: number) => readonly Action[]

/** A controller that does what it is told and decides nothing: for tests of the world itself. */
export function scripted(deployment: string, script: Script, { everyMs = 1000, epoch = 1 } = {}): MakeTurner {
  return (seat) => {
    let turns = 0
    let nextTurnAt = seat.clock.now()
    return {
      get nextTurnAt() {
        return nextTurnAt
      },
      wake() {
        nextTurnAt = seat.clock.now()
      },
      async turn(): Promise<Plan> {
        const actions = script(seat, turns++)
        const [host] = seat.hosts.values()
        await Promise.allSettled(
          actions.map((action) =>
            host?.act({ deployment, controllerEpoch: epoch, notAfter: seat.clock.now() + 3000, action }),
          ),
        )
        nextTurnAt = seat.clock.now() + everyMs
        return { actions, because: actions.map(({ kind }) => kind).join(', '), notes: [], lookAgainMs: null }
      },
    }
  }
}
