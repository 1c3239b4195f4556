import { createInterface } from 'node:readline/promises'
import type { Advice, Needs } from '@holdfast/core'
import { advise as adviseFor, bytes, formatBytes, HoldfastError, ratio, usualNeeds } from '@holdfast/core'
import { stringify } from 'yaml'
import type { Context } from './context.ts'

/** As they were typed; what is missing is measured, asked, or taken as usual. */
export type AdviseOptions = Partial<Readonly<Record<Question['option'], string>>> & {
  readonly from?: string
  readonly json?: boolean
}

interface Question {
  readonly option:
    | 'name'
    | 'use'
    | 'data'
    | 'growth'
    | 'months'
    | 'ops'
    | 'writes'
    | 'loss'
    | 'outage'
    | 'multiKey'
    | 'zones'
    | 'nodeMemory'
  readonly ask: string
  /** What counts where nobody says anything. Null: nobody else can know. */
  readonly usual: string | null
  readonly read: (text: string) => Partial<Needs>
}

const oneOf =
  <Field extends 'use' | 'loss' | 'outage' | 'multiKey'>(field: Field, values: readonly Needs[Field][]) =>
  (text: string): Partial<Needs> => {
    const value = values.find((one) => one === text)
    if (value === undefined) throw new Error(`write one of ${values.join(', ')}`)
    return { [field]: value }
  }

const whole =
  (field: 'months' | 'opsPerSecond' | 'zones', min: number, max: number) =>
  (text: string): Partial<Needs> => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max) throw new Error(`write a whole number, ${min} to ${max}`)
    return { [field]: value }
  }

const size =
  (field: 'dataBytes' | 'nodeMemoryBytes') =>
  (text: string): Partial<Needs> => {
    const parsed = bytes.safeParse(text)
    if (!parsed.success || parsed.data > 1024 ** 5) throw new Error('write a size such as 512mb or 20gb, up to 1024tb')
    return { [field]: parsed.data }
  }

const share =
  (field: 'growthPerMonth' | 'writeShare') =>
  (text: string): Partial<Needs> => {
    const parsed = ratio.safeParse(text)
    if (!parsed.success) throw new Error('write a share such as 20%, up to 100%')
    return { [field]: parsed.data }
  }

const questions: readonly Question[] = [
  {
    option: 'name',
    ask: 'What shall it be called?',
    usual: 'shop',
    read: (name) => {
      if (!/^[a-z][a-z0-9-]{0,39}$/.test(name)) throw new Error('use 1 to 40 of a-z, 0-9 and -, starting with a letter')
      return { name }
    },
  },
  {
    option: 'use',
    ask: 'What is the data for? (cache, session, queue, primary-store)',
    usual: usualNeeds.use,
    read: oneOf('use', ['cache', 'session', 'queue', 'primary-store']),
  },
  { option: 'data', ask: 'How much data is it today, such as 4gb?', usual: null, read: size('dataBytes') },
  { option: 'growth', ask: 'How much does it grow in a month?', usual: '5%', read: share('growthPerMonth') },
  { option: 'months', ask: 'For how many months shall it last?', usual: '6', read: whole('months', 0, 60) },
  {
    option: 'ops',
    ask: 'How many commands a second at the busiest time?',
    usual: null,
    read: whole('opsPerSecond', 0, 1_000_000_000),
  },
  { option: 'writes', ask: 'What share of them writes?', usual: '20%', read: share('writeShare') },
  {
    option: 'loss',
    ask: 'What may be lost of the acknowledged writes? (a-moment, zero)',
    usual: usualNeeds.loss,
    read: oneOf('loss', ['a-moment', 'zero']),
  },
  {
    option: 'outage',
    ask: 'May it be away while one engine starts again? (none, restart)',
    usual: usualNeeds.outage,
    read: oneOf('outage', ['none', 'restart']),
  },
  {
    option: 'multiKey',
    ask: 'Commands and transactions over several keys? (none, together: keys that belong together, any)',
    usual: usualNeeds.multiKey,
    read: oneOf('multiKey', ['none', 'together', 'any']),
  },
  { option: 'zones', ask: 'Over how many zones shall it be spread?', usual: '1', read: whole('zones', 1, 20) },
  {
    option: 'nodeMemory',
    ask: 'How much memory of its machine may one engine take?',
    usual: '16gb',
    read: (text) => {
      const needs = size('nodeMemoryBytes')(text)
      if ((needs.nodeMemoryBytes ?? 0) < 256 * 1024 ** 2) throw new Error('at least 256mb')
      return needs
    },
  },
]

/** `holdfast advise`: what fits, as a spec with its reasons in comments. Changes nothing, anywhere. */
export async function advise(context: Context, { from, json, ...options }: AdviseOptions): Promise<void> {
  const measured = from === undefined ? null : await measure(from)
  if (measured !== null) context.say(measured.said)
  const known = { ...measured?.options, ...options }
  const { needs, assumed } = context.isInteractive ? await askForRest(known) : takeUsual(known)
  const advice = adviseFor(needs)
  const reasons = [...(measured === null ? [] : [measured.said]), ...assumed, ...advice.reasons]
  context.out(json === true ? JSON.stringify({ ...advice, reasons, needs }, null, 2) : asFile({ ...advice, reasons }))
}

type Known = AdviseOptions

async function measure(url: string): Promise<{ options: Known; said: string }> {
  const { measureDeployment } = await import('../wire.ts')
  const { dataBytes, opsPerSecond, writeShare, multiKey, primaries } = await measureDeployment(url)
  const peak = 2 * opsPerSecond
  const writes = `${Math.round(writeShare * 100)}%`
  const said = `Measured on ${primaries} ${primaries === 1 ? 'engine' : 'primaries'}: ${formatBytes(dataBytes)} of data, ${opsPerSecond} commands a second now or on average, ${writes} of them write${multiKey === 'any' ? ', and there were commands over several keys or scripts' : ''}. A moment is not a peak, so twice as many commands are planned; say --ops where you know better.`
  return { options: { data: String(dataBytes), ops: String(peak), writes, multiKey }, said }
}

interface Answered {
  readonly needs: Needs
  readonly assumed: readonly string[]
}

/** Without a terminal the usual is taken, and said. */
function takeUsual(known: Known): Answered {
  const missing = questions.filter(({ option, usual }) => known[option] === undefined && usual === null)
  if (missing.length > 0) {
    const names = missing.map(({ option }) => flagOf(option)).join(' and ')
    throw new HoldfastError(
      'USAGE',
      `say ${names}, or --from with the address of a running engine: nobody is here to ask`,
    )
  }
  const assumed = questions.filter(({ option }) => known[option] === undefined && option !== 'name')
  const needs = questions.reduce<Partial<Needs>>(
    (all, question) => ({ ...all, ...readOption(question, known[question.option] ?? question.usual ?? '') }),
    {},
  )
  const said = assumed.map(({ option, usual }) => `${flagOf(option)} ${usual}`).join(', ')
  return { needs: needs as Needs, assumed: said === '' ? [] : [`Assumed, since nothing was said of it: ${said}.`] }
}

/** Each question again until its answer can be read; Enter takes the usual. */
async function askForRest(known: Known): Promise<Answered> {
  let needs: Partial<Needs> = {}
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    for (const question of questions) {
      const typed = known[question.option]
      needs = { ...needs, ...(typed === undefined ? await answerTo(question, terminal) : readOption(question, typed)) }
    }
  } catch (error) {
    // Ctrl-C and Ctrl-D are answers, too.
    if (!(error instanceof Error) || error.name !== 'AbortError') throw error
    throw new HoldfastError('REFUSED_NOT_CONFIRMED', 'not all was answered: nothing is advised')
  } finally {
    terminal.close()
  }
  return { needs: needs as Needs, assumed: [] }
}

async function answerTo(question: Question, terminal: ReturnType<typeof createInterface>): Promise<Partial<Needs>> {
  const { ask, usual, read } = question
  for (;;) {
    const answer = (await terminal.question(`${ask}${usual === null ? '' : ` [${usual}]`} `)).trim() || usual
    try {
      if (answer !== null) return read(answer)
    } catch (error) {
      process.stderr.write(`${(error as Error).message}\n`)
    }
  }
}

function readOption({ option, read }: Question, text: string): Partial<Needs> {
  try {
    return read(text)
  } catch (error) {
    throw new HoldfastError('USAGE', `${flagOf(option)} "${text.slice(0, 80)}": ${(error as Error).message}`)
  }
}

const flagOf = (option: Question['option']): string =>
  `--${option.replace(/[A-Z]/g, (char) => `-${char.toLowerCase()}`)}`

/** A spec that can be brought up as it is; the reasons stand above it, what comes later below. */
function asFile({ spec, later, reasons }: Advice): string {
  const above = reasons.flatMap((reason) => [...wrapped(reason), '#'])
  const below =
    later.length === 0
      ? []
      : ['', '# To be filled in, or as soon as this version acts on it:', ...later.map((line) => `#   ${line}`)]
  return [...above.slice(0, -1), '', stringify(spec).trimEnd(), ...below].join('\n')
}

function wrapped(text: string): string[] {
  const lines: string[] = []
  // A number such as 137 000 stays on its line.
  for (const word of text.split(/(?<!\d) | (?!\d)/)) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= 100) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(`# ${word}`)
  }
  return lines
}
