/**
 * Words from outside that the layout has changed, so that a client looks at once and not when a timeout tells it to. It
 * never depends on them: one that is missing costs what the timeout costs, one too many costs a question.
 */
import type { Said } from './engine/said.ts'

/**
 * Calls `changed` whenever something may have moved, with what is said of the shards if there is more to tell; answers
 * how to stop. `trouble` is for what an operator should mend.
 */
export type Hints = (
  changed: (because: string, said?: readonly Said[]) => void,
  trouble: (error: Error) => void,
) => () => void

/** Several as one. */
export const allHints =
  (hints: readonly Hints[]): Hints =>
  (changed, trouble) => {
    const stops = hints.map((hear) => hear(changed, trouble))
    return () => {
      for (const stop of stops) stop()
    }
  }
