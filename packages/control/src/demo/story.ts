/** What the demonstration tells: the seconds of both lanes, what was done to them, and what was said meanwhile. */
import type { DemoAction, DemoFrame, DemoMark, HoldfastEvent, LaneSample } from '@holdfast/core'
import type { OpenMark } from './mark.ts'
import { hearEvent, keepMark, openMark, toldMark } from './mark.ts'
import { keepSample } from './sample.ts'

/** One line of what happened lately. */
export interface Note {
  readonly at: number
  readonly text: string
  /** A step of healing that only who reads everything wants to read. */
  readonly isMinor: boolean
}

const notesMax = 50

export class Story {
  #samples: readonly LaneSample[] = []
  #marks: readonly OpenMark[] = []
  #notes: readonly Note[] = []
  readonly #frames = new Set<(frame: DemoFrame) => void>()
  readonly #hearers = new Set<(note: Note) => void>()

  get samples(): readonly LaneSample[] {
    return this.#samples
  }

  get marks(): readonly DemoMark[] {
    return this.#marks.map(toldMark)
  }

  /** Oldest first. */
  get notes(): readonly Note[] {
    return this.#notes
  }

  mark(action: DemoAction, what: string, at = Date.now()): void {
    this.#marks = keepMark(this.#marks, openMark(at, action, what))
  }

  /** Says what came of the newest mark of this kind, where that is not the controller's to say. */
  explain(action: DemoAction, because: string): void {
    const at = this.#marks.findLastIndex((mark) => mark.action === action)
    this.#marks = this.#marks.map((mark, index) => (index === at ? { ...mark, because } : mark))
  }

  sample(sample: LaneSample): void {
    this.#samples = keepSample(this.#samples, sample)
    this.send({ kind: 'sample', sample })
  }

  note(text: string, at = Date.now(), isMinor = false): void {
    const note = { at, text, isMinor }
    this.#notes = [...this.#notes, note].slice(-notesMax)
    for (const hear of this.#hearers) hear(note)
  }

  /** Whether a mark has another sentence now. */
  hear(event: HoldfastEvent): boolean {
    const { kind, because, at } = event
    if (kind === 'turn') this.note(because, at, true)
    if (kind === 'loss' || kind === 'drill') this.note(because, at)
    return this.explainBy(event)
  }

  /** The same for the marks alone. */
  explainBy(event: HoldfastEvent): boolean {
    const before = this.#marks
    this.#marks = hearEvent(before, event)
    if (this.#marks === before) return false
    const mark = this.#marks.at(-1)
    // The turn that did something about a fault is what everybody waits for.
    if (mark?.listens === false && mark.because !== null) this.#stress(mark.because)
    return true
  }

  #stress(text: string): void {
    const at = this.#notes.findLastIndex((note) => note.text === text)
    this.#notes = this.#notes.map((note, index) => (index === at ? { ...note, isMinor: false } : note))
  }

  send(frame: DemoFrame): void {
    for (const listener of this.#frames) listener(frame)
  }

  onFrame(listener: (frame: DemoFrame) => void): () => void {
    this.#frames.add(listener)
    return () => this.#frames.delete(listener)
  }

  onNote(listener: (note: Note) => void): () => void {
    this.#hearers.add(listener)
    return () => this.#hearers.delete(listener)
  }
}
