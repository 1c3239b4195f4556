import type { Context } from '../context.ts'

/** Does the work of a command, in the home of this call; what it answers is the exit code, 0 where it answers none. */
export type Run = (work: (context: Context) => Promise<number | void>) => Promise<void>

export const specHelp = 'a YAML file that says what is wanted (docs/spec.md)'
export const nameHelp = 'the deployment; may be left out where there is only one'
export const atHelp = 'not before: 2026-12-01 02:00Z, 02:00 (UTC), +2h, or window'
export const panelPortHelp = 'where the panel listens (default: 7500, or any free port where that is in use)'
