import type { Logger } from 'pino'

/** What the loop needs of a logger; pino in the program, nothing in the simulation. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>
