import { errorTable, HoldfastError, hideSecrets } from '@holdfast/core'
import { CommanderError } from 'commander'
import { ControllerBug } from './api.ts'

/** A bug is not an error to handle: the exit code that says so. */
const bugExit = 70

/** What happened, to what, and what to do, on stderr; where a program asked for JSON, on stdout for it too. */
export function explain(error: unknown, isJson: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode !== 0 && isJson) tellProgram('USAGE', error.message.replace(/^error: /, ''), {})
    return error.exitCode === 0 ? 0 : errorTable.USAGE.exit
  }
  if (error instanceof HoldfastError) {
    if (isJson) tellProgram(error.code, error.message, error.facts)
    process.stderr.write(`${hideSecrets(error.message)}\n(${error.code})\n`)
    return errorTable[error.code].exit
  }
  const what = error instanceof Error && !(error instanceof ControllerBug) ? error.stack : String(error)
  if (isJson) tellProgram('INTERNAL', String(error), {})
  process.stderr.write(`${hideSecrets(String(what))}\nThis is a bug in Holdfast.\n`)
  return bugExit
}

function tellProgram(code: string, message: string, facts: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${hideSecrets(JSON.stringify({ error: { code, message, facts } }, null, 2))}\n`)
}
