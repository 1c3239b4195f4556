/** A terminal that shows lines in place and hears keys, and is given back as it was, however this ends. */
import type { ReadStream, WriteStream } from 'node:tty'
import type { ScreenLine, ScreenSize } from '../demo/screen.ts'

const enter = '\x1b[?1049h\x1b[?25l'
const leave = '\x1b[?25h\x1b[?1049l'
const smallest = { columns: 20, rows: 5 }

const tones: Readonly<Record<ScreenLine['tone'], string>> = {
  plain: '',
  strong: '\x1b[1m',
  quiet: '\x1b[2m',
  good: '\x1b[32m',
  bad: '\x1b[1;31m',
}

export class LiveScreen {
  readonly #input: ReadStream
  readonly #output: WriteStream
  readonly #onKey: (key: string) => void
  readonly #hasColour: boolean
  #shown = ''
  #isOpen = true

  constructor(input: ReadStream, output: WriteStream, onKey: (key: string) => void) {
    this.#input = input
    this.#output = output
    this.#onKey = onKey
    this.#hasColour = (process.env['NO_COLOR'] ?? '') === ''
    input.setRawMode(true)
    input.on('data', this.#hear)
    input.resume()
    output.write(enter)
    output.on('resize', this.#forget)
    process.once('exit', this.#leave)
  }

  get size(): ScreenSize {
    const { columns, rows } = this.#output
    return { columns: Math.max(smallest.columns, columns), rows: Math.max(smallest.rows, rows) }
  }

  /** Writes over what stands there; what has not changed is not written at all. */
  show(lines: readonly ScreenLine[]): void {
    const painted = lines.map(({ text, tone }) => `${this.#paint(text, tone)}\x1b[K`).join('\r\n')
    if (painted === this.#shown || !this.#isOpen) return
    this.#shown = painted
    this.#output.write(`\x1b[H${painted}\x1b[J`)
  }

  close(): void {
    process.off('exit', this.#leave)
    this.#leave()
    this.#input.off('data', this.#hear)
    this.#output.off('resize', this.#forget)
    this.#input.pause()
  }

  #paint(text: string, tone: ScreenLine['tone']): string {
    const code = tones[tone]
    return this.#hasColour && code !== '' ? `${code}${text}\x1b[0m` : text
  }

  readonly #hear = (chunk: Buffer): void => {
    for (const key of chunk.toString('utf8')) this.#onKey(key)
  }

  readonly #forget = (): void => {
    this.#shown = ''
  }

  readonly #leave = (): void => {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#output.write(leave)
    this.#input.setRawMode(false)
  }
}
