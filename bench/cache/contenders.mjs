// @ts-check
/**
 * Libraries that are measured beside each other: alternately, so that a busy machine is unfair to all of them, and each
 * time in a process of its own.
 *
 * @typedef {import('./subject.mjs').OpenOptions} OpenOptions
 * @typedef {{ label: string, name: string, options: Partial<OpenOptions> }} Contender
 * @typedef {import('../figures.mjs').Row} Row
 * @typedef {import('../figures.mjs').Limit} Limit
 */
import { Subject, withSubject } from './subject.mjs'

/**
 * @param {string} label
 * @param {Partial<OpenOptions>} [options]
 * @returns {Contender}
 */
export const contender = (label, options = {}) => ({ label, name: label.split(',')[0] ?? label, options })

/** @template T */
class Outcomes {
  /** @type {Map<Contender, T[]>} */
  #figures = new Map()
  /** @type {Map<Contender, string>} */
  #failures = new Map()
  /** Whose failure is already said below the table. @type {Set<Contender>} */
  #said = new Set()

  /** @param {Contender} one @param {T} figures */
  add(one, figures) {
    this.#figures.set(one, [...(this.#figures.get(one) ?? []), figures])
  }

  /** @param {Contender} one @param {unknown} error */
  fail(one, error) {
    this.#failures.set(one, error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error))
  }

  /** @param {Contender} one */
  of(one) {
    return this.#figures.get(one) ?? []
  }

  /**
   * One figure of a contender as a row. What ours failed at is a run without a figure, so that it counts as missed.
   *
   * @param {Contender} one
   * @param {string} what
   * @param {string} unit
   * @param {(figures: T) => number | undefined} pick
   * @param {readonly Limit[]} [limits] For ours.
   * @returns {Row}
   */
  row(one, what, unit, pick, limits = []) {
    const runs = this.of(one).flatMap((figures) => pick(figures) ?? [])
    const ours = one.name === 'holdfast'
    const failure = this.#failures.get(one)
    const first = failure !== undefined && !this.#said.has(one)
    this.#said.add(one)
    return {
      what: `${what}: ${one.label}`,
      unit,
      runs: ours && failure !== undefined ? [...runs, Number.NaN] : runs,
      ...(ours && { limits: [...limits] }),
      ...(first && { note: failure }),
    }
  }

  /** All figures, for the file. */
  get details() {
    return Object.fromEntries([...this.#figures].map(([{ label }, figures]) => [label, figures]))
  }
}

/**
 * Measures each contender `runs` times.
 *
 * @template T
 * @param {{ contenders: readonly Contender[], runs: number, say: (line: string) => void, what: string }} plan
 * @param {(contender: Contender) => Promise<T>} measure
 * @returns {Promise<Outcomes<T>>}
 */
export async function alternately({ contenders, runs, say, what }, measure) {
  /** @type {Outcomes<T>} */
  const outcomes = new Outcomes()
  for (let run = 1; run <= runs; run++) {
    for (const one of contenders) {
      try {
        const figures = await measure(one)
        outcomes.add(one, figures)
        say(`${what} ${run}/${runs}, ${one.label}: ${JSON.stringify(figures, round)}`)
      } catch (error) {
        outcomes.fail(one, error)
        say(`${what} ${run}/${runs}, ${one.label}: failed: ${String(error)}`)
      }
    }
  }
  return outcomes
}

/** @param {string} _ @param {unknown} value */
const round = (_, value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value)

/**
 * @template T
 * @param {Contender} contender
 * @param {Partial<OpenOptions>} where
 * @param {(subject: Subject) => Promise<T>} use
 */
export const opened = ({ name, options }, where, use) =>
  withSubject(name, { engine: true, local: true, ...where, ...options }, use)

/**
 * The same library in several processes.
 *
 * @template T
 * @param {Contender} contender
 * @param {number} count
 * @param {Partial<OpenOptions>} where
 * @param {(subjects: Subject[]) => Promise<T>} use
 */
export async function openedTimes({ name, options }, count, where, use) {
  const starting = Array.from({ length: count }, () =>
    Subject.open(name, { engine: true, local: true, ...where, ...options }),
  )
  try {
    return await use(await Promise.all(starting))
  } finally {
    const started = await Promise.allSettled(starting)
    await Promise.all(started.flatMap((one) => (one.status === 'fulfilled' ? [one.value.close()] : [])))
  }
}

/**
 * Pairs of rows: ours beside each other one.
 *
 * @param {readonly Contender[]} contenders As the rows are in order, from `from` on.
 * @param {number} from
 * @returns {[number, number][]}
 */
export function oursAgainst(contenders, from = 0) {
  const ours = contenders.findIndex(({ name }) => name === 'holdfast')
  if (ours === -1) return []
  return contenders.flatMap((_, index) => (index === ours ? [] : [[from + ours, from + index]]))
}
