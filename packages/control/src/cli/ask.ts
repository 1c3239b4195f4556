import { createInterface } from 'node:readline/promises'
import { HoldfastError } from '@holdfast/core'
import type { Context } from './context.ts'

/** Asks before something changes. `--yes` answers for scripts; without a terminal and without it nothing is done. */
export async function confirm(context: Context, question: string, yes: boolean): Promise<void> {
  if (yes) return
  if (!context.isInteractive) {
    throw new HoldfastError(
      'REFUSED_NOT_CONFIRMED',
      `${question} Nobody is here to ask: say --yes. Nothing was changed.`,
    )
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`${question} [y/N] `)
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    terminal.close()
  }
  throw new HoldfastError('REFUSED_NOT_CONFIRMED', 'not confirmed: nothing was changed')
}
