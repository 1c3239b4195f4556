import type { Argument } from '../engine/engine.ts'
import type { ScriptWorld } from '../engine/script.ts'

/** Reads replies as a script in Lua does: nothing is undefined, bytes are text. */
export interface ScriptCalls {
  readonly run: (...command: Argument[]) => unknown
  readonly text: (...command: Argument[]) => string | undefined
  readonly texts: (...command: Argument[]) => (string | undefined)[]
}

export function callsOf(world: ScriptWorld): ScriptCalls {
  const run = (...command: Argument[]): unknown => world.call(...command)
  return {
    run,
    text: (...command) => textOf(run(...command)),
    texts: (...command) => (run(...command) as unknown[]).map(textOf),
  }
}

/** A reply as text, undefined for none. */
export function textOf(reply: unknown): string | undefined {
  if (typeof reply === 'string' || typeof reply === 'number' || Buffer.isBuffer(reply)) return String(reply)
  return undefined
}
