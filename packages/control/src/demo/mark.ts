/** The lines that faults draw, and the controller's own sentence on each. */
import type { DemoAction, DemoMark, HoldfastEvent } from '@holdfast/core'

const marksMax = 40
/** Later sentences are about something else. */
const sentenceWithinMs = 20_000

/** A mark that is still listening for the controller's sentence. */
export interface OpenMark extends DemoMark {
  /** The turn whose sentence it has, by the number of its event; null: it listens no longer, or never did. */
  readonly turn: string | null
  readonly listens: boolean
}

/** Faults are for the controller to explain; what happens in the shop is not its business. */
const explained: readonly DemoAction[] = ['kill', 'two', 'freeze', 'cache']

export const openMark = (at: number, action: DemoAction, what: string): OpenMark => ({
  at,
  action,
  what,
  because: null,
  turn: null,
  listens: explained.includes(action),
})

export function keepMark(marks: readonly OpenMark[], mark: OpenMark): readonly OpenMark[] {
  return [...marks, mark].slice(-marksMax)
}

/**
 * The newest mark takes the sentence of the first turn after the fault, and then, if that only looked on, that of the
 * first turn that did something.
 */
export function hearEvent(marks: readonly OpenMark[], event: HoldfastEvent): readonly OpenMark[] {
  const mark = marks.at(-1)
  if (mark?.listens !== true || event.at < mark.at || event.at > mark.at + sentenceWithinMs) return marks
  const heard = hear(mark, event)
  return heard === mark ? marks : [...marks.slice(0, -1), heard]
}

function hear(mark: OpenMark, { kind, seq, because, cause }: HoldfastEvent): OpenMark {
  if (kind === 'turn') return { ...mark, because, turn: String(seq) }
  const isAct = kind === 'action' || kind === 'failed'
  return isAct && cause !== null && cause === mark.turn ? { ...mark, listens: false } : mark
}

/** As it is told. */
export const toldMark = ({ at, action, what, because }: OpenMark): DemoMark => ({ at, action, what, because })
