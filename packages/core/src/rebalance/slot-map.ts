/**
 * Who has which slot, as runs of neighbouring slots of one owner, while an assignment is being thought out. All questions that
 * a planner asks again and again (what borders what, where a run ends) are answered without walking over slots.
 */
import type { SlotRange } from '../slots.ts'

/** Owners are numbers; this one has the slots that nobody has. */
const nobody = 0

/** The owner of each slot: its place in `ids`, from 1. Where two claim one, the first does. */
export function ownersOf(
  owned: ReadonlyMap<string, readonly SlotRange[]>,
  ids: readonly string[],
  total: number,
): Int32Array {
  const owners = new Int32Array(total).fill(nobody)
  for (const [index, id] of [...ids.entries()].reverse()) {
    for (const [from, to] of owned.get(id) ?? []) owners.fill(index + 1, from, to + 1)
  }
  return owners
}

export class SlotMap {
  readonly total: number
  readonly #owner: Int32Array
  /** At the first slot of a run: its last. */
  readonly #end: Int32Array
  /** At the last slot of a run: its first. */
  readonly #start: Int32Array
  /** The first slots of each owner's runs. */
  readonly #runs: Set<number>[]
  readonly #counts: Int32Array

  /** `owner`: of each slot, as `ownersOf` tells it. It becomes the map's own. */
  constructor(owner: Int32Array, owners: number) {
    this.total = owner.length
    this.#owner = owner
    this.#end = new Int32Array(this.total)
    this.#start = new Int32Array(this.total)
    this.#runs = Array.from({ length: owners + 1 }, () => new Set())
    this.#counts = new Int32Array(owners + 1)
    for (let first = 0; first < this.total; ) {
      const one = owner[first] as number
      let last = first
      while (last + 1 < this.total && owner[last + 1] === one) last++
      this.#note(first, last, one)
      this.#counts[one] = this.count(one) + last - first + 1
      first = last + 1
    }
  }

  count(owner: number): number {
    return this.#counts[owner] ?? 0
  }

  /** Undefined beyond either end. */
  ownerAt(slot: number): number | undefined {
    return this.#owner[slot]
  }

  /** The run that begins, or ends, at this slot. */
  runFrom = (first: number): SlotRange => [first, this.#end[first] as number]
  runTo = (last: number): SlotRange => [this.#start[last] as number, last]

  /** In the order of the slots. */
  runsOf(owner: number): SlotRange[] {
    return this.someRunsOf(owner).sort((a, b) => a[0] - b[0])
  }

  /** In whatever order they came. */
  someRunsOf(owner: number): SlotRange[] {
    return [...(this.#runs[owner] ?? [])].map(this.runFrom)
  }

  /** Whether these slots are one whole run of this owner, as they may have been before. */
  isRun([first, last]: SlotRange, owner: number): boolean {
    return this.#runs[owner]?.has(first) === true && this.#end[first] === last
  }

  /** The runs before and after this one. */
  besides([first, last]: SlotRange): SlotRange[] {
    const before = first > 0 ? [this.runTo(first - 1)] : []
    return last < this.total - 1 ? [...before, this.runFrom(last + 1)] : before
  }

  /** These slots, which lie within one run, become this owner's. Returns the run that they are in from now on. */
  give([from, to]: SlotRange, owner: number): SlotRange {
    const before = this.#owner[from] as number
    if (before === owner) return [from, to]
    const [first, last] = this.#runAround(from, to)
    this.#drop(first, before)
    if (first < from) this.#note(first, from - 1, before)
    if (to < last) this.#note(to + 1, last, before)
    this.#owner.fill(owner, from, to + 1)
    this.#move(to - from + 1, before, owner)
    let [begin, end] = [from, to]
    if (this.#owner[from - 1] === owner) {
      begin = this.#start[from - 1] as number
      this.#drop(begin, owner)
    }
    if (this.#owner[to + 1] === owner) {
      end = this.#end[to + 1] as number
      this.#drop(to + 1, owner)
    }
    this.#note(begin, end, owner)
    return [begin, end]
  }

  /** Only what is not at an end of its run has to be looked for. */
  #runAround(from: number, to: number): SlotRange {
    const owner = this.#owner[from] as number
    if (this.#runs[owner]?.has(from) === true) return this.runFrom(from)
    const isLast = to === this.total - 1 || this.#owner[to + 1] !== owner
    if (isLast) return this.runTo(to)
    let first = from
    while (!this.#runs[owner]?.has(first)) first--
    return this.runFrom(first)
  }

  #move(count: number, before: number, owner: number): void {
    this.#counts[before] = this.count(before) - count
    this.#counts[owner] = this.count(owner) + count
  }

  #note(first: number, last: number, owner: number): void {
    this.#end[first] = last
    this.#start[last] = first
    this.#runs[owner]?.add(first)
  }

  #drop(first: number, owner: number): void {
    this.#runs[owner]?.delete(first)
  }
}
