/**
 * What the engine has acknowledged, and whether it was found again. Each write is read back a moment later, and from then
 * on in turn with all others. What is not there is looked for once more before it counts as missing: a loss is a fact.
 */

/** A write is read back for the first time so long after its acknowledgement, ms. */
const firstReadAfterMs = 1000
/** What is missing is looked for again so much later, ms. */
const secondLookAfterMs = 1000
/** So long is a write followed, ms; then its key is deleted. */
const followedForMs = 600_000
const lostMax = 20

export interface LostWrite {
  readonly key: string
  readonly ackedAt: number
}

interface Followed {
  readonly ackedAt: number
  /** When it is to be read next. */
  dueAt: number
  wasFound: boolean
  wasMissed: boolean
}

export class AckedWrites {
  /** Oldest first, each in the line of what is to be read when. */
  readonly #fresh = new Map<string, Followed>()
  readonly #suspects = new Map<string, Followed>()
  readonly #known = new Map<string, Followed>()
  readonly #underWay = new Map<string, Followed>()
  #lost: LostWrite[] = []
  #acked = 0
  #readBack = 0
  #missing = 0

  get figures() {
    return { acked: this.#acked, readBack: this.#readBack, missing: this.#missing, lost: this.#lost }
  }

  acknowledged(key: string, now: number): void {
    this.#acked++
    this.#fresh.set(key, { ackedAt: now, dueAt: now + firstReadAfterMs, wasFound: false, wasMissed: false })
  }

  /** The next keys to read, which are then under way until they are `found`, `missed` or `unread`. */
  takeDue(now: number, most: number): string[] {
    const due: string[] = []
    for (const line of [this.#suspects, this.#fresh, this.#known]) {
      for (const [key, { dueAt }] of line) {
        if (due.length >= most || dueAt > now) break
        due.push(key)
      }
    }
    for (const key of due) this.#underWay.set(key, this.#leaveLine(key))
    return due
  }

  /** True: it was followed long enough, and may be deleted. */
  found(key: string, now: number): boolean {
    const followed = this.#return(key)
    if (followed === undefined) return false
    if (!followed.wasFound) this.#readBack++
    if (now - followed.ackedAt > followedForMs) return true
    this.#known.set(key, { ...followed, dueAt: now + firstReadAfterMs, wasFound: true, wasMissed: false })
    return false
  }

  missed(key: string, now: number): void {
    const followed = this.#return(key)
    if (followed === undefined) return
    if (!followed.wasMissed) {
      this.#suspects.set(key, { ...followed, dueAt: now + secondLookAfterMs, wasMissed: true })
      return
    }
    this.#missing++
    this.#lost = [{ key, ackedAt: followed.ackedAt }, ...this.#lost].slice(0, lostMax)
  }

  /** Nobody answered: that says nothing about the write. */
  unread(key: string, now: number): void {
    const followed = this.#return(key)
    if (followed === undefined) return
    const line = followed.wasMissed ? this.#suspects : followed.wasFound ? this.#known : this.#fresh
    line.set(key, { ...followed, dueAt: now + firstReadAfterMs })
  }

  #leaveLine(key: string): Followed {
    const followed = this.#suspects.get(key) ?? this.#fresh.get(key) ?? this.#known.get(key)
    if (followed === undefined) throw new Error(`${key} is in no line`)
    for (const line of [this.#suspects, this.#fresh, this.#known]) line.delete(key)
    return followed
  }

  #return(key: string): Followed | undefined {
    const followed = this.#underWay.get(key)
    this.#underWay.delete(key)
    return followed
  }
}
