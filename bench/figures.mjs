// @ts-check
/** Figures of many runs as a table, and as data. */

/**
 * One row: what was measured, in which unit, and every run of it.
 *
 * @typedef {object} Row
 * @property {string} what
 * @property {string} unit
 * @property {number[]} runs
 * @property {Limit[]} [limits] What it has to keep.
 * @property {string} [note] What happened beside the figures.
 *
 * @typedef {{ of: 'median' | 'max', atMost: number }} Limit
 * @typedef {{ median: number, min: number, max: number, p95: number }} Summary
 */

/**
 * @param {readonly number[]} runs
 * @returns {Summary}
 */
export function summarize(runs) {
  const sorted = [...runs].sort((a, b) => a - b)
  return { median: rank(sorted, 0.5), min: rank(sorted, 0), max: rank(sorted, 1), p95: rank(sorted, 0.95) }
}

/**
 * Linear between the two nearest runs.
 *
 * @param {readonly number[]} sorted
 * @param {number} share
 */
function rank(sorted, share) {
  const at = (sorted.length - 1) * share
  const below = sorted[Math.floor(at)] ?? Number.NaN
  const above = sorted[Math.ceil(at)] ?? Number.NaN
  return below + (above - below) * (at - Math.floor(at))
}

/** @param {Row} row */
export function verdictOf({ runs, limits = [] }) {
  if (limits.length === 0 || runs.length === 0) return ''
  const summary = summarize(runs)
  return limits.every(({ of, atMost }) => summary[of] <= atMost) ? 'met' : 'MISSED'
}

/** @param {Row} row */
const describeLimits = ({ limits = [], unit }) => limits.map(({ of, atMost }) => `${of} ≤ ${atMost} ${unit}`).join(', ')

/** @param {readonly Row[]} rows */
export function formatTable(rows) {
  const head = ['what', 'runs', 'min', 'median', 'p95', 'max', 'unit', 'target', '']
  const body = rows.map((row) => {
    const { min, median, p95, max } = summarize(row.runs)
    const figures = row.runs.length === 0 ? ['–', '–', '–', '–'] : [min, median, p95, max].map(formatFigure)
    return [row.what, String(row.runs.length), ...figures, row.unit, describeLimits(row), verdictOf(row)]
  })
  const widths = head.map((title, column) => Math.max(title.length, ...body.map((cells) => cells[column]?.length ?? 0)))
  const lines = [head, ...body].map((cells) => cells.map((cell, column) => align(cell, widths[column] ?? 0, column)))
  const notes = rows.flatMap(({ what, note }) => (note === undefined ? [] : [`  ${what}: ${note}`]))
  return [...lines.map((cells) => cells.join('  ').trimEnd()), ...notes].join('\n')
}

/**
 * Words to the left, figures to the right.
 *
 * @param {string} cell
 * @param {number} width
 * @param {number} column
 */
const align = (cell, width, column) => (column >= 1 && column <= 5 ? cell.padStart(width) : cell.padEnd(width))

/** @param {number} value */
const formatFigure = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2))

/**
 * How many times the peer's median ours fits in.
 *
 * @param {Row} ours
 * @param {Row} peer
 */
export function formatRatio(ours, peer) {
  if (ours.runs.length === 0 || peer.runs.length === 0) return undefined
  const times = summarize(peer.runs).median / summarize(ours.runs).median
  return `${ours.what}: ${times.toFixed(1)} times as fast as ${peer.what} (medians of this run)`
}
