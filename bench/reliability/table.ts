/** The rows of many courses as the tables of docs/reliability.md. */
import { drillClients } from '@holdfast/core'
import type { Row } from '../../test/support/fabric/course.ts'
import type { FabricFault } from '../../test/support/fabric/faults.ts'
import { fabricFaultNames, faultKind } from '../../test/support/fabric/faults.ts'
import type { SubjectName } from '../../test/support/fabric/subject.ts'
import { subjectNames } from '../../test/support/fabric/subject.ts'

/** A line of the page: all runs of one fault on one subject, as one kind of client saw them. */
type Line = Omit<Row, 'lostFromMs' | 'lostToMs'> & Pick<Row, 'lostFromMs' | 'lostToMs'> & { readonly runs: number }

const subjects = Object.keys(subjectNames) as SubjectName[]

/** What was counted is added up; of times the worst is told. */
function linesOf(rows: readonly Row[]): Line[] {
  const lines = new Map<string, Line>()
  for (const row of rows) {
    const name = [row.subject, row.fault, row.client].join()
    const before = lines.get(name)
    lines.set(name, before === undefined ? { ...row, runs: 1 } : together(before, row))
  }
  return [...lines.values()]
}

function together(line: Line, row: Row): Line {
  const extreme = (choose: typeof Math.min, ...values: (number | null)[]): number | null => {
    const known = values.filter((value) => value !== null)
    return known.length === 0 ? null : choose(...known)
  }
  return {
    ...line,
    runs: line.runs + 1,
    acknowledged: line.acknowledged + row.acknowledged,
    failed: line.failed + row.failed,
    indeterminate: line.indeterminate + row.indeterminate,
    lost: line.lost + row.lost,
    unread: line.unread + row.unread,
    lostFromMs: extreme(Math.min, line.lostFromMs, row.lostFromMs),
    lostToMs: extreme(Math.max, line.lostToMs, row.lostToMs),
    longestGapMs: Math.max(line.longestGapMs, row.longestGapMs),
    gapsMs: Math.max(line.gapsMs, row.gapsMs),
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(ms < 9950 ? 1 : 0)

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

/** One row a fault: what was lost, and for how long the shard could not be written, by client in the order of the head. */
export function summaryOf(rows: readonly Row[]): string {
  const lines = linesOf(rows)
  const shown = subjects.filter((subject) => lines.some((line) => line.subject === subject))
  const cells = fabricFaultNames
    .filter((fault) => lines.some((line) => line.fault === fault))
    .map((fault) => [faultKind(fault).what, ...shown.map((subject) => cellOf(lines, subject, fault))])
  return table(['', ...shown.map((subject) => subjectNames[subject])], cells)
}

function cellOf(lines: readonly Line[], subject: SubjectName, fault: FabricFault): string {
  const found = lines.filter((line) => line.subject === subject && line.fault === fault)
  if (found.length === 0) return ''
  const lost = found.map((line) => (line.unread > 0 ? `${line.lost} (${line.unread} unread)` : `${line.lost}`))
  return `lost ${lost.join(' / ')}; ${found.map((line) => seconds(line.longestGapMs)).join(' / ')} s`
}

/** Every figure, one row a fault and client. */
export function detailsOf(rows: readonly Row[]): string {
  const lines = linesOf(rows)
  const parts = subjects
    .filter((subject) => lines.some((line) => line.subject === subject))
    .map((subject) => `### ${capital(subjectNames[subject])}\n\n${detailsTable(lines, subject)}`)
  return parts.join('\n\n')
}

function detailsTable(lines: readonly Line[], subject: SubjectName): string {
  const own = fabricFaultNames.flatMap((fault) =>
    lines.filter((line) => line.subject === subject && line.fault === fault),
  )
  const head = [
    'fault',
    'client',
    'runs',
    'acknowledged',
    'failed',
    'undecided',
    'lost',
    'longest gap',
    'gaps together',
  ]
  return table(head, own.map(detailCells))
}

const detailCells = (line: Line): string[] => [
  `\`${line.fault}\``,
  drillClients[line.client].what,
  String(line.runs),
  String(line.acknowledged),
  String(line.failed),
  String(line.indeterminate),
  lostWords(line),
  `${seconds(line.longestGapMs)} s`,
  `${seconds(line.gapsMs)} s`,
]

/** With when the lost ones were acknowledged, counted from the fault. */
function lostWords({ lost, lostFromMs, lostToMs, unread }: Line): string {
  const when = lostFromMs === null || lostToMs === null ? '' : ` (${seconds(lostFromMs)} to ${seconds(lostToMs)} s)`
  return `${lost}${when}${unread > 0 ? `, ${unread} unread` : ''}`
}

const capital = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1)
