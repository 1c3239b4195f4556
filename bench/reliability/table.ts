/** The rows of many courses as the tables of docs/reliability.md. */
import { drillClients } from '@holdfast/core'
import type { Row } from '../../test/support/fabric/course.ts'
import type { FabricFault } from '../../test/support/fabric/faults.ts'
import { fabricFaultNames, faultKind } from '../../test/support/fabric/faults.ts'
import type { ReadsSeen } from '../../test/support/fabric/reader.ts'
import type { SubjectName } from '../../test/support/fabric/subject.ts'
import { subjectNames } from '../../test/support/fabric/subject.ts'
import { isKept } from '../../test/support/fabric/subjects.ts'

/** A line of the page: all runs of one fault on one subject, as one kind of client saw them. */
type Line = Row & { readonly runs: number }

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
    lostSentToMs: extreme(Math.max, line.lostSentToMs, row.lostSentToMs),
    longestGapMs: Math.max(line.longestGapMs, row.longestGapMs),
    gapsMs: Math.max(line.gapsMs, row.gapsMs),
    reads: line.reads === null || row.reads === null ? null : bothReads(line.reads, row.reads),
    takenOverMs: extreme(Math.max, line.takenOverMs, row.takenOverMs),
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(ms < 9950 ? 1 : 0)

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

/** A fault that was tried, and whose figures nobody has. */
export interface Failed {
  readonly subject: SubjectName
  readonly fault: FabricFault
  readonly because: string
}

/** One row a fault: what was lost, and for how long the shard could not be written, by client in the order of the head. */
export function summaryOf(rows: readonly Row[], failed: readonly Failed[]): string {
  const lines = linesOf(rows)
  const cells = fabricFaultNames.map((fault) => [
    faultKind(fault).what,
    ...subjects.map((subject) => cellOf(lines, failed, subject, fault)),
  ])
  return table(['', ...subjects.map((subject) => subjectNames[subject])], cells)
}

/** None is empty without a reason. */
function cellOf(lines: readonly Line[], failed: readonly Failed[], subject: SubjectName, fault: FabricFault): string {
  if (faultKind(fault).needsKeeping === true && !isKept(subject)) return 'has none'
  const failure = failed.find((one) => one.subject === subject && one.fault === fault)
  if (failure !== undefined)
    return `did not get to its end: ${failure.because.replaceAll('|', '/').replaceAll('\n', ' ')}`
  const found = lines.filter((line) => line.subject === subject && line.fault === fault)
  if (found.length === 0) return 'not measured'
  const lost = found.map((line) => (line.unread > 0 ? `${line.lost} (${line.unread} unread)` : `${line.lost}`))
  const gaps = found.map((line) => seconds(line.longestGapMs))
  const [{ takenOverMs }] = found as [Line]
  const acts = takenOverMs === null ? '' : `; another controller acts after ${seconds(takenOverMs)} s`
  return `lost ${lost.join(' / ')}; ${gaps.join(' / ')} s${acts}`
}

/** What an application saw that reads through `@holdfast/cache`, of all faults of a subject together. */
export function readsOf(rows: readonly Row[]): string {
  const lines = linesOf(rows)
  const cells = subjects.flatMap((subject) => {
    const reads = lines.flatMap((line) => (line.subject === subject && line.reads !== null ? [line.reads] : []))
    if (reads.length === 0) return []
    const { reads: count, errors, slowestMs, worst } = reads.reduce(bothReads)
    return [
      [subjectNames[subject], `${count}`, `${errors}${worst === null ? '' : ` (${worst})`}`, `${seconds(slowestMs)} s`],
    ]
  })
  return table(['', 'reads', 'errors', 'slowest'], cells)
}

const bothReads = (one: ReadsSeen, other: ReadsSeen): ReadsSeen => ({
  reads: one.reads + other.reads,
  errors: one.errors + other.errors,
  slowestMs: Math.max(one.slowestMs, other.slowestMs),
  worst: one.errors >= other.errors ? one.worst : other.worst,
})

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
    'reads',
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
  line.reads === null ? '' : readWords(line.reads),
]

const readWords = ({ reads, errors, slowestMs }: ReadsSeen): string =>
  `${errors} of ${reads} failed, slowest ${seconds(slowestMs)} s`

/** With when the lost ones were acknowledged, counted from the fault. */
function lostWords({ lost, lostFromMs, lostToMs, unread }: Line): string {
  const when = lostFromMs === null || lostToMs === null ? '' : ` (${seconds(lostFromMs)} to ${seconds(lostToMs)} s)`
  return `${lost}${when}${unread > 0 ? `, ${unread} unread` : ''}`
}

const capital = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1)
