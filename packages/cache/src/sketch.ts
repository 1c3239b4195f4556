/**
 * A count-min sketch (Cormode and Muthukrishnan, Journal of Algorithms 2005) with conservative update (Estan and
 * Varghese, SIGCOMM 2002): how often things were seen, in memory that does not grow with how many there are.
 *
 * Every thing has one cell in each of four rows, and its estimate is the least of them. An estimate is never below the
 * true weight. It is above it by more than e / width, 0.27 %, of all that was added with a chance of at most e^-4,
 * 1.8 %; conservative update, which raises only cells that are below the new estimate, makes it far less in practice.
 */
const rows = 4
const columns = 1024
const columnMask = columns - 1
/** Less than this is nothing. Weights that fade for ever would end as denormal numbers, on which arithmetic is slow. */
const negligible = 1e-3

export class Sketch {
  readonly #cells = new Float32Array(rows * columns)

  /** Adds to the weight of what has this fingerprint, and answers its estimate. */
  add(fingerprint: number, weight: number): number {
    const cells = this.#cells
    const estimate = this.estimate(fingerprint) + weight
    const step = stepOf(fingerprint)
    for (let row = 0, place = fingerprint; row < rows; row += 1, place += step) {
      const cell = row * columns + (place & columnMask)
      if ((cells[cell] as number) < estimate) cells[cell] = estimate
    }
    return estimate
  }

  estimate(fingerprint: number): number {
    const step = stepOf(fingerprint)
    let least = Number.POSITIVE_INFINITY
    for (let row = 0, place = fingerprint; row < rows; row += 1, place += step) {
      const found = this.#cells[row * columns + (place & columnMask)] as number
      if (found < least) least = found
    }
    return least
  }

  /** Multiplies every weight: with a factor below one, what is long ago fades. */
  scale(factor: number): void {
    const cells = this.#cells
    for (let cell = 0; cell < cells.length; cell += 1) {
      const scaled = (cells[cell] as number) * factor
      cells[cell] = scaled < negligible ? 0 : scaled
    }
  }
}

/** Rows must not agree on who shares a cell, so each thing walks them with a step of its own, from bits that chose no first cell. */
function stepOf(fingerprint: number): number {
  return (fingerprint >>> 10) | 1
}

/**
 * A whole number of 32 bits that stands for a text: FNV-1a over its UTF-16 units, stirred at the end as in MurmurHash3
 * so that every bit depends on all of them. Not for secrets, and not where two texts with one number would do harm.
 */
export function fingerprintOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
