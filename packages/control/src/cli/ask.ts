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
  if (/^y(es)?$/i.test(await answerTo(`${question} [y/N] `))) return
  throw new HoldfastError('REFUSED_NOT_CONFIRMED', 'not confirmed: nothing was changed')
}

/** Asks for the name of what is deleted for good. A script has said it with the command, and `--yes`. */
export async function confirmByName(
  context: Context,
  question: string,
  name: string,
  { said, yes }: { readonly said: string | undefined; readonly yes: boolean },
): Promise<void> {
  if (yes && said === name) return
  if (yes || !context.isInteractive) {
    throw new HoldfastError(
      'REFUSED_NOT_CONFIRMED',
      `${question} Say its name and --yes where nobody can be asked. Nothing was changed.`,
    )
  }
  if ((await answerTo(`${question} Type its name: `)) === name) return
  throw new HoldfastError('REFUSED_NOT_CONFIRMED', `that is not ${name}: nothing was changed`)
}

async function answerTo(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await terminal.question(question)).trim()
  } finally {
    terminal.close()
  }
}
