/** The demonstration's screen in a terminal: 80 by 24, understood without colour. */
import type { DemoAction, DemoState, LaneName, LaneSample, Status } from '@holdfast/core'
import { demoActions } from '@holdfast/core'
import type { Note } from './story.ts'

export interface ScreenFacts {
  /** Undefined: nobody has looked at it yet. */
  readonly status: Status | undefined
  readonly state: DemoState
  readonly notes: readonly Note[]
  readonly panel: string
  readonly signIn: string
  readonly shops: readonly string[]
}

export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

/** `good` and `bad` are said in words as well. */
export interface ScreenLine {
  readonly text: string
  readonly tone: 'plain' | 'strong' | 'quiet' | 'good' | 'bad'
}

const labelWidth = 30
const laneWidth = 18

/** At most so many lines, none of them longer than the terminal is wide. */
export function renderScreen(facts: ScreenFacts, { columns, rows }: ScreenSize): ScreenLine[] {
  const rule: ScreenLine = { text: '─'.repeat(columns), tone: 'quiet' }
  const above = [...head(facts, columns), rule, ...figures(facts.state), rule, ...places(facts), ...keys(columns), rule]
  const below = notes(facts.notes, columns, Math.max(1, rows - above.length))
  return [...above, ...below].slice(0, rows).map(({ text, tone }) => ({ text: cut(text, columns), tone }))
}

function head({ status, state }: ScreenFacts, columns: number): ScreenLine[] {
  const ready = { yes: 'ready', no: 'not ready', unknown: 'not known yet' }[status?.ready ?? 'unknown']
  const engine = status?.engine == null ? '' : `${status.engine.flavor} ${status.engine.version}`
  const title = `Holdfast keeps up ${state.deployment}: ${ready}`
  const sentence = status?.because ?? 'nobody has looked at it yet'
  return [
    { text: spread(title, engine, columns), tone: status?.ready === 'no' ? 'bad' : 'strong' },
    { text: sentence, tone: 'plain' },
  ]
}

function figures({ samples, compare, database }: DemoState): ScreenLine[] {
  const lane = (name: LaneName): LaneSample | undefined => samples.findLast((sample) => sample.lane === name)
  const alone = { off: 'x: compare', starting: 'starting ...', on: 'engine alone', stopping: 'stopping ...' }[compare]
  const lanes = [lane('holdfast'), compare === 'on' ? lane('bare') : undefined]
  const row = (label: string, figure: (sample: LaneSample) => string): ScreenLine => {
    const cells = lanes.map((sample) => (sample === undefined ? '' : figure(sample)).padStart(laneWidth))
    return { text: `${label.padEnd(labelWidth)}${cells.join('')}`.trimEnd(), tone: 'plain' }
  }
  const isAllWell = lanes[0]?.errorsTotal === 0
  const away = database.running ? '' : ', stopped'
  return [
    {
      text: `${'the shop with'.padEnd(labelWidth)}${'Holdfast'.padStart(laneWidth)}${alone.padStart(laneWidth)}`,
      tone: 'strong',
    },
    row('requests a second', ({ requests }) => String(requests)),
    { ...row('errors since the start', ({ errorsTotal }) => String(errorsTotal)), tone: isAllWell ? 'good' : 'bad' },
    row('slowest but one in a hundred', ({ p99Ms }) => inMs(p99Ms)),
    row('loads saved a second', ({ loadsSaved }) => String(loadsSaved)),
    row(`${database.kind} a second${away}`, ({ queries }) => String(queries)),
    row('old pages, marked as old', ({ stale }) => String(stale)),
    row('writes acknowledged', ({ acked }) => String(acked)),
    row('  read back · missing', ({ readBack, missing }) => `${readBack} · ${missing}`),
  ]
}

function places({ panel, signIn, shops }: ScreenFacts): ScreenLine[] {
  return [
    { text: `panel    ${panel}/demo`, tone: 'plain' },
    { text: `sign in  ${signIn}`, tone: 'plain' },
    { text: `shop     ${shops.join('  ')}`, tone: 'quiet' },
  ]
}

const shortLabels: Readonly<Record<DemoAction, string>> = {
  kill: 'kill a primary',
  two: 'kill two',
  freeze: 'freeze one',
  cache: 'kill the cache',
  database: 'stop the database',
  hot: 'flash sale',
  buyers: '1000 buyers',
  compare: 'compare',
}

/** As many in a line as there is room for, none of them torn. */
function keys(columns: number): ScreenLine[] {
  const actions = Object.keys(demoActions) as DemoAction[]
  const labels = [...actions.map((action) => `[${demoActions[action].key}] ${shortLabels[action]}`), '[q] quit']
  const lines: string[] = []
  for (const label of labels) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 2 + label.length <= columns) lines[lines.length - 1] = `${last}  ${label}`
    else lines.push(label)
  }
  return lines.map((text) => ({ text, tone: 'strong' }))
}

/** The last ones that fit, each whole. */
function notes(all: readonly Note[], columns: number, rows: number): ScreenLine[] {
  const lines: ScreenLine[] = []
  for (const note of all.filter(({ isMinor }) => !isMinor).toReversed()) {
    const [first = '', ...more] = wrap(note.text, columns - 9)
    const own = [`${timeOf(note.at)} ${first}`, ...more.map((line) => `         ${line}`)]
    if (lines.length + own.length > rows && lines.length > 0) break
    lines.unshift(...own.slice(0, rows).map((text) => ({ text, tone: 'plain' }) as const))
  }
  return lines
}

/** One line of all that matters, for where there is no terminal. */
export function renderPlain({ samples, compare }: DemoState): string {
  const told = (['holdfast', 'bare'] as const).flatMap((name) => {
    const sample = samples.findLast(({ lane }) => lane === name)
    if (sample === undefined || (name === 'bare' && compare !== 'on')) return []
    const { requests, errorsTotal, p99Ms, queries, loadsSaved, stale, acked, readBack, missing } = sample
    const who = name === 'holdfast' ? 'Holdfast' : 'engine alone'
    const pages = `${requests} requests/s, errors ${errorsTotal}, p99 ${inMs(p99Ms)}`
    const asked = `database ${queries}/s, loads saved ${loadsSaved}/s, old pages ${stale}`
    return [`${who}: ${pages}, ${asked}, writes ${acked}, read back ${readBack}, missing ${missing}`]
  })
  return told.join(' | ')
}

export const plainNote = ({ at, text }: Pick<Note, 'at' | 'text'>): string => `${timeOf(at)} ${text}`

const inMs = (ms: number | null): string =>
  ms === null ? '–' : ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms.toFixed(0)} ms`

function timeOf(at: number): string {
  const date = new Date(at)
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':')
}

const spread = (left: string, right: string, columns: number): string =>
  `${left}${' '.repeat(Math.max(1, columns - left.length - right.length))}${right}`

const cut = (text: string, columns: number): string =>
  text.length <= columns ? text : `${text.slice(0, columns - 1)}…`

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
