/**
 * `npm run reliability -- [--subject NAME]… [--fault NAME]… [--for SECONDS] [--runs N] [--table]`
 *
 * Every fault between hosts, on Holdfast and on the engine alone, in the same fabric with the same clients; figures into
 * bench/results/reliability.json, and from there into docs/reliability.md. What is run again replaces what was there of
 * the same subject and fault. `--table`: only the page, from the figures that are there.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { findTestEngine } from '../../test/support/engines.ts'
import { Clients } from '../../test/support/fabric/clients.ts'
import type { Row } from '../../test/support/fabric/course.ts'
import { runCourse } from '../../test/support/fabric/course.ts'
import { Fabric } from '../../test/support/fabric/fabric.ts'
import { fabricFaultNames, faultKind } from '../../test/support/fabric/faults.ts'
import type { Subject, SubjectName } from '../../test/support/fabric/subject.ts'
import { subjectNames } from '../../test/support/fabric/subject.ts'
import { isKept, openSubject } from '../../test/support/fabric/subjects.ts'
import type { Failed } from './table.ts'
import { detailsOf, readsOf, summaryOf } from './table.ts'

interface Results {
  /** On what the last of them were measured, and when. */
  readonly where: string
  readonly rows: readonly Row[]
  /** Those that did not get to their end: their cells say why. */
  readonly failed: readonly Failed[]
}

/** Of one fault on one subject. */
type Outcome = Pick<Failed, 'subject' | 'fault'> & ({ readonly rows: readonly Row[] } | { readonly because: string })

const pathOf = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const resultsFile = pathOf('../results/reliability.json')
const pageFile = pathOf('../../docs/reliability.md')

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    subject: { type: 'string', multiple: true },
    fault: { type: 'string', multiple: true },
    for: { type: 'string', default: '10' },
    runs: { type: 'string', default: '1' },
    table: { type: 'boolean', default: false },
  },
})

const chosen = <T extends string>(asked: readonly string[] | undefined, all: readonly T[]): readonly T[] => {
  const unknown = asked?.find((name) => !all.some((one) => one === name))
  if (unknown === undefined) return asked === undefined ? all : all.filter((name) => asked.includes(name))
  console.error(`there is no ${unknown}: ${all.join(', ')}`)
  return process.exit(2)
}

const subjects = chosen(values.subject, Object.keys(subjectNames) as SubjectName[])
const faults = chosen(values.fault, fabricFaultNames)
const forSeconds = Number(values.for)
/** What does not come up twice will not come up for the next fault either. */
const risesAtMost = 2

if (!values.table) for (const subject of subjects) await measure(subject)
writePage(readResults())
process.exit()

/** One fault after the other on the same engines, each begun when all is whole; new ones where one did not get to its end. */
async function measure(name: SubjectName): Promise<void> {
  const fits = faults.filter((fault) => isKept(name) || faultKind(fault).needsKeeping !== true)
  let stage: Stage | undefined
  let failedToRise = 0
  for (const fault of fits) {
    try {
      if (failedToRise === risesAtMost) throw new Error(`its hosts did not come up, ${risesAtMost} times`)
      const rows: Row[] = []
      for (let run = 1; run <= Number(values.runs); run++) {
        stage ??= await setStage(name)
        rows.push(...(await runCourse({ ...stage, fault, forMs: forSeconds * 1000 })))
      }
      for (const row of rows) console.error(inWords(row))
      await keep({ subject: name, fault, rows })
    } catch (error) {
      const because = (error instanceof Error ? error.message : String(error)).slice(0, 300)
      console.error(`${name}, ${fault}: ${because}`)
      if (stage === undefined && failedToRise < risesAtMost) failedToRise++
      await keep({ subject: name, fault, because })
      await stage?.close()
      stage = undefined
    }
    console.error(`${Math.round(performance.now() / 1000)} s so far`)
  }
  await stage?.close()
}

interface Stage {
  readonly fabric: Fabric
  readonly clients: Clients
  readonly subject: Subject
  readonly close: () => Promise<void>
}

async function setStage(name: SubjectName): Promise<Stage> {
  const fabric = await Fabric.up()
  const clients = new Clients(fabric)
  const close = async (): Promise<void> => {
    clients.close()
    await fabric.close()
  }
  try {
    return { fabric, clients, subject: await openSubject(name, fabric, clients), close }
  } catch (error) {
    await close()
    throw error
  }
}

function inWords(row: Row): string {
  const { subject, fault, client, acknowledged, lost, longestGapMs, gapsMs, reads, takenOverMs } = row
  const words = [
    `${lost} of ${acknowledged} lost`,
    `longest gap ${longestGapMs} ms`,
    `together ${gapsMs} ms`,
    ...(reads === null
      ? []
      : [`${reads.errors} of ${reads.reads} reads failed, the slowest took ${reads.slowestMs} ms`]),
    ...(takenOverMs === null ? [] : [`another controller acted after ${takenOverMs} ms`]),
  ]
  return `${subject}, ${fault}, ${client}: ${words.join(', ')}`
}

function readResults(): Results {
  if (!existsSync(resultsFile)) return { where: '', rows: [], failed: [] }
  return JSON.parse(readFileSync(resultsFile, 'utf8')) as Results
}

/** In the place of what was there of the same fault on the same subject. */
async function keep(outcome: Outcome): Promise<void> {
  const before = readResults()
  const isOther = ({ subject, fault }: Pick<Failed, 'subject' | 'fault'>): boolean =>
    subject !== outcome.subject || fault !== outcome.fault
  const { flavor, version } = await findTestEngine()
  const day = new Date().toISOString().slice(0, 10)
  const where = `${flavor} ${version}, Node ${process.version.slice(1)}, ${cpus().length} shared cores, ${day}, load average ${loadavg()[0]?.toFixed(0)}`
  const { subject, fault } = outcome
  const results: Results = {
    where,
    rows: [...before.rows.filter(isOther), ...('rows' in outcome ? outcome.rows : [])],
    failed: [
      ...before.failed.filter(isOther),
      ...('because' in outcome ? [{ subject, fault, because: outcome.because }] : []),
    ],
  }
  mkdirSync(dirname(resultsFile), { recursive: true })
  writeFileSync(resultsFile, `${JSON.stringify(results, undefined, 2)}\n`)
}

/** Between its marks; what stands around them is written by hand. */
function writePage({ where, rows, failed }: Results): void {
  if (rows.length === 0) return
  const lasting = [Math.min, Math.max].map((choose) => choose(...rows.map(({ forSeconds: one }) => one)))
  const words = [...new Set(lasting)].join(' to ')
  const parts = {
    summary: `${where}; each fault lasts ${words} s.\n\n${summaryOf(rows, failed)}`,
    reads: readsOf(rows),
    details: detailsOf(rows),
  }
  let page = readFileSync(pageFile, 'utf8')
  for (const [name, text] of Object.entries(parts)) {
    const marked = new RegExp(`(<!-- ${name}: made by npm run reliability -->\n)[^]*?(<!-- end of ${name} -->)`)
    if (!marked.test(page)) throw new Error(`${pageFile} has no place for the ${name}`)
    page = page.replace(marked, (_, begin: string, end: string) => `${begin}\n${text}\n\n${end}`)
  }
  writeFileSync(pageFile, page)
}
